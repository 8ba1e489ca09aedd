#!/bin/sh
# The Mesos agent; its packages read one file an option.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin mesos

# option FOLDER NAME VALUE: an empty value is none.
option() { [ -z "$3" ] || printf '%s\n' "$3" | write_file "/etc/$1/$2" 0644 root; }

option mesos zk "zk://$(echo "$JB_MASTER_ADDRESSES" | sed 's/,/:2181,/g'):2181/mesos"
option mesos-slave ip "$JB_PRIVATE_ADDRESS"
option mesos-slave hostname "$JB_PRIVATE_ADDRESS"
option mesos-slave containerizers docker,mesos
option mesos-slave executor_registration_timeout 5mins
option mesos-slave isolation "$JB_MESOS_SLAVE_ISOLATION"
option mesos-slave image_providers "$JB_MESOS_SLAVE_IMAGE_PROVIDERS"
option mesos-slave attributes "$(echo "$JB_NODE_LABELS" | sed 's/=/:/g; s/ /;/g')"
option mesos-slave work_dir "$JB_MESOS_SLAVE_WORK_DIR"
option mesos-slave executor_environment_variables "$JB_MESOS_SLAVE_VARIABLES"

# The packages bring all; an agent is no master.
for unit in mesos-master zookeeper marathon; do
    systemctl disable "$unit" 2>/dev/null || true
    systemctl stop "$unit" 2>/dev/null || true
done
start_unit mesos-slave
