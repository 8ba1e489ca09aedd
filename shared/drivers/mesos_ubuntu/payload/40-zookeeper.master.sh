#!/bin/sh
# ZooKeeper: the masters know one another from the start, each by its place in the list of their addresses.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin zookeeper

echo $((JB_NODE_INDEX + 1)) | write_file /etc/zookeeper/conf/myid 0644 root
{
    cat <<'CONF'
tickTime=2000
initLimit=30
syncLimit=5
dataDir=/var/lib/zookeeper
clientPort=2181
admin.enableServer=false
autopurge.snapRetainCount=3
autopurge.purgeInterval=24
CONF
    number=0
    for address in $(echo "$JB_MASTER_ADDRESSES" | tr ',' ' '); do
        number=$((number + 1))
        echo "server.$number=$(address_in_url "$address"):2888:3888"
    done
} | write_file /etc/zookeeper/conf/zoo.cfg 0644 root
# Where the package looks for the number: some read the configuration's folder, some the data's.
mkdir -p /var/lib/zookeeper
owner=$(owner_or_root zookeeper)
chown "$owner" /var/lib/zookeeper
write_file /var/lib/zookeeper/myid 0644 "$owner" </etc/zookeeper/conf/myid

start_unit zookeeper
