#!/bin/sh
# docker-volume-size: the Cinder volume that Heat attaches becomes docker's storage. Without one, docker keeps what the
# image came with.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin docker-storage
# shellcheck source=/dev/null
. /etc/jeroboam/volumes

make_pool() {
    command -v pvcreate >/dev/null || fail "the image has no LVM, which devicemapper on a volume needs; try overlay2"
    pvcreate -f -y "$1"
    vgcreate jeroboam-docker "$1"
    lvcreate -y --type thin-pool -l 95%FREE -n pool jeroboam-docker
}

storage=
if [ -n "$JB_DOCKER_VOLUME" ]; then
    if [ ! -e "$JB_STATE/docker-storage-ready" ]; then
        device=$(find_volume "$JB_DOCKER_VOLUME" /dev/vdb)
        systemctl stop docker || true
        if [ "$JB_DOCKER_STORAGE_DRIVER" = devicemapper ]; then
            make_pool "$device"
        else
            mount_volume "$device" jb-docker xfs /var/lib/docker var-lib-docker.mount
        fi
        touch "$JB_STATE/docker-storage-ready"
    fi
    if [ "$JB_DOCKER_STORAGE_DRIVER" = devicemapper ]; then
        storage="--storage-driver devicemapper --storage-opt dm.fs=xfs \
--storage-opt dm.thinpooldev=/dev/mapper/jeroboam--docker-pool --storage-opt dm.use_deferred_removal=true"
    fi
fi
# Without a volume, devicemapper is whatever the image made of it.
[ "$JB_DOCKER_STORAGE_DRIVER" = devicemapper ] || storage="--storage-driver $JB_DOCKER_STORAGE_DRIVER"
registry=
[ -z "$JB_INSECURE_REGISTRY" ] || registry="--insecure-registry $JB_INSECURE_REGISTRY"

# After a reboot the pool, or the file system, is there before docker is.
{
    echo '[Unit]'
    [ ! -e /etc/systemd/system/var-lib-docker.mount ] || echo 'RequiresMountsFor=/var/lib/docker'
    echo '[Service]'
    case $storage in *thinpooldev*) echo "ExecStartPre=-/bin/sh -c 'vgchange -a y jeroboam-docker'" ;; esac
    if [ "$JB_DOCKER_OPTIONS_IN" = unit ]; then
        echo "Environment=\"DOCKER_OPTS=$storage $registry\""
        echo 'EnvironmentFile=-/run/flannel/flannel_docker_opts.env'
    fi
} | write_file /etc/systemd/system/docker.service.d/jeroboam.conf 0644 root

if [ "$JB_DOCKER_OPTIONS_IN" = sysconfig ]; then
    # Kernels before 4.9 have no overlay with SELinux's labels, and docker then does not start.
    case $storage in
        *overlay*) [ ! -e /etc/sysconfig/docker ] ||
            sed -i '/^OPTIONS=/s/--selinux-enabled\(=[a-z]*\)\{0,1\}/--selinux-enabled=false/' /etc/sysconfig/docker ;;
    esac
    [ -z "$storage" ] || echo "DOCKER_STORAGE_OPTIONS=\"$storage\"" | write_file /etc/sysconfig/docker-storage 0644 root
    if [ -n "$registry" ]; then
        mkdir -p /etc/sysconfig
        touch /etc/sysconfig/docker
        {
            grep -v '^INSECURE_REGISTRY=' /etc/sysconfig/docker || true
            echo "INSECURE_REGISTRY='$registry'"
        } >"$JB_STATE/docker.sysconfig"
        write_file /etc/sysconfig/docker 0644 root <"$JB_STATE/docker.sysconfig"
    fi
fi
systemctl daemon-reload

# Pods mount host folders that SELinux labels of this release do not allow for.
if command -v setenforce >/dev/null; then
    setenforce 0 || true
    [ ! -e /etc/selinux/config ] || sed -i 's/^SELINUX=enforcing/SELINUX=permissive/' /etc/selinux/config || true
fi
