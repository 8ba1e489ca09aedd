#!/bin/sh
# The Mesos master; its packages read one file an option.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin mesos

# option FOLDER NAME VALUE
option() { printf '%s\n' "$3" | write_file "/etc/$1/$2" 0644 root; }

zk=zk://$(echo "$JB_MASTER_ADDRESSES" | sed 's/,/:2181,/g'):2181
masters=$(echo "$JB_MASTER_ADDRESSES" | tr ',' '\n' | wc -l)
option mesos zk "$zk/mesos"
option mesos-master quorum $((masters / 2 + 1))
option mesos-master ip "$JB_PRIVATE_ADDRESS"
option mesos-master hostname "$JB_PRIVATE_ADDRESS"
option mesos-master cluster "$JB_MESOS_CLUSTER"

# The packages bring both; a master is no agent.
systemctl disable mesos-slave 2>/dev/null || true
systemctl stop mesos-slave 2>/dev/null || true
start_unit mesos-master
