#!/bin/sh
# docker-volume-size: the Cinder volume that Heat attaches becomes docker's storage. Without one, docker keeps what the
# image came with.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin docker-storage

# The volume appears under its id (the first 20 letters), on some hypervisors only under the name that Heat asked for.
find_device() {
    for device in "/dev/disk/by-id/virtio-$(printf %.20s "$JB_DOCKER_VOLUME")" \
        "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_$(printf %.20s "$JB_DOCKER_VOLUME")" /dev/vdb; do
        if [ -b "$device" ]; then
            readlink -f "$device"
            return 0
        fi
    done
    return 1
}

options=
if [ -n "$JB_DOCKER_VOLUME" ] && [ ! -e "$JB_STATE/docker-storage-ready" ]; then
    wait_for 300 "volume $JB_DOCKER_VOLUME to be attached" find_device
    device=$(find_device)
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
    fi
    touch "$JB_STATE/docker-storage-ready"
fi
case $JB_DOCKER_STORAGE_DRIVER in
    devicemapper)
        [ -z "$JB_DOCKER_VOLUME" ] || options="--storage-driver devicemapper --storage-opt dm.fs=xfs \
--storage-opt dm.thinpooldev=/dev/mapper/jeroboam--docker-pool --storage-opt dm.use_deferred_removal=true"
        ;;
    *) options="--storage-driver $JB_DOCKER_STORAGE_DRIVER" ;;
esac
[ -z "$options" ] || echo "DOCKER_STORAGE_OPTIONS=\"$options\"" | write_file /etc/sysconfig/docker-storage 0644 root

if [ -n "$JB_INSECURE_REGISTRY" ]; then
    mkdir -p /etc/sysconfig
    touch /etc/sysconfig/docker
    {
        grep -v '^INSECURE_REGISTRY=' /etc/sysconfig/docker || true
        echo "INSECURE_REGISTRY='--insecure-registry $JB_INSECURE_REGISTRY'"
    } >"$JB_STATE/docker.sysconfig"
    write_file /etc/sysconfig/docker 0644 root <"$JB_STATE/docker.sysconfig"
fi

# Pods mount host folders that SELinux labels of this release do not allow for.
if command -v setenforce >/dev/null; then
    setenforce 0 || true
    [ ! -e /etc/selinux/config ] || sed -i 's/^SELINUX=enforcing/SELINUX=permissive/' /etc/selinux/config
fi
