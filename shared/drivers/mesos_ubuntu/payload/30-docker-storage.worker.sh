#!/bin/sh
# docker-volume-size: the Cinder volume that Heat attaches holds docker's images and containers.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin docker-storage

options=
if [ -n "$JB_DOCKER_VOLUME" ] && [ ! -e "$JB_STATE/docker-storage-ready" ]; then
    device=$(find_volume "$JB_DOCKER_VOLUME" /dev/vdb)
    systemctl stop docker || true
    if [ "${JB_DOCKER_STORAGE_DRIVER:-devicemapper}" = devicemapper ]; then
        pvcreate -f -y "$device"
        vgcreate jeroboam-docker "$device"
        lvcreate -y --type thin-pool -l 95%FREE -n pool jeroboam-docker
    else
        mkfs.ext4 -F -q -L jb-docker "$device"
        mkdir -p /var/lib/docker
        grep -q '^LABEL=jb-docker ' /etc/fstab || echo 'LABEL=jb-docker /var/lib/docker ext4 defaults,nofail 0 2' >>/etc/fstab
        mount /var/lib/docker
        needs_mount docker /var/lib/docker
    fi
    touch "$JB_STATE/docker-storage-ready"
fi
driver=$JB_DOCKER_STORAGE_DRIVER
if [ -n "$JB_DOCKER_VOLUME" ] && [ "${driver:-devicemapper}" = devicemapper ]; then
    driver=devicemapper
    options='["dm.fs=ext4", "dm.thinpooldev=/dev/mapper/jeroboam--docker-pool", "dm.use_deferred_removal=true"]'
fi

[ -s /etc/docker/daemon.json ] || echo '{}' | write_file /etc/docker/daemon.json 0644 root
jq --arg driver "$driver" --arg registry "$JB_INSECURE_REGISTRY" --argjson options "${options:-null}" '. +
    (if $driver == "" then {} else {"storage-driver": $driver} end) +
    (if $options == null then {} else {"storage-opts": $options} end) +
    (if $registry == "" then {} else {"insecure-registries": [$registry]} end)' /etc/docker/daemon.json \
    >"$JB_STATE/daemon.json"
write_file /etc/docker/daemon.json 0644 root <"$JB_STATE/daemon.json"
start_unit docker
