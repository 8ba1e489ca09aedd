#!/bin/sh
# Label etcd_volume_size: etcd's data lies on a volume of its own.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin etcd-storage
# shellcheck source=/dev/null
. /etc/jeroboam/volumes

[ -n "$JB_ETCD_VOLUME" ] || exit 0
device=$(find_volume "$JB_ETCD_VOLUME" /dev/vdc)
systemctl stop etcd || true
mount_volume "$device" jb-etcd ext4 /var/lib/etcd var-lib-etcd.mount
