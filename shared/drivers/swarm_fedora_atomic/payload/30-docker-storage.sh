#!/bin/sh
# docker-volume-size: the Cinder volume that Heat attaches becomes docker's storage. Without one, docker keeps what the
# image came with.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin docker-storage

if [ -n "$JB_DOCKER_VOLUME" ] && [ ! -e "$JB_STATE/docker-storage-ready" ]; then
    device=$(find_volume "$JB_DOCKER_VOLUME" /dev/vdb)
    systemctl stop docker || true
    if [ "$JB_DOCKER_STORAGE_DRIVER" = devicemapper ]; then
        pvcreate -f -y "$device"
        vgcreate jeroboam-docker "$device"
        lvcreate -y --type thin-pool -l 95%FREE -n pool jeroboam-docker
    else
        mkfs.xfs -f -n ftype=1 -L jb-docker "$device"
        mkdir -p /var/lib/docker
        grep -q '^LABEL=jb-docker ' /etc/fstab || echo 'LABEL=jb-docker /var/lib/docker xfs defaults,nofail 0 2' >>/etc/fstab
        mount /var/lib/docker
        needs_mount docker /var/lib/docker
    fi
    touch "$JB_STATE/docker-storage-ready"
fi
options=
case $JB_DOCKER_STORAGE_DRIVER in
    devicemapper)
        [ -z "$JB_DOCKER_VOLUME" ] || options="--storage-driver devicemapper --storage-opt dm.fs=xfs \
--storage-opt dm.thinpooldev=/dev/mapper/jeroboam--docker-pool --storage-opt dm.use_deferred_removal=true"
        ;;
    *) options="--storage-driver $JB_DOCKER_STORAGE_DRIVER" ;;
esac
[ -z "$options" ] || echo "DOCKER_STORAGE_OPTIONS=\"$options\"" | write_file /etc/sysconfig/docker-storage 0644 root
