#!/bin/sh
# Marathon, which starts the users' containers. Packages up to 1.4 read one file an option, later ones the environment.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin marathon

zk=zk://$(echo "$JB_MASTER_ADDRESSES" | sed 's/,/:2181,/g'):2181
echo "$JB_PRIVATE_ADDRESS" | write_file /etc/marathon/conf/hostname 0644 root
echo "$zk/mesos" | write_file /etc/marathon/conf/master 0644 root
echo "$zk/marathon" | write_file /etc/marathon/conf/zk 0644 root
write_file /etc/default/marathon 0644 root <<CONF
MARATHON_HOSTNAME="$JB_PRIVATE_ADDRESS"
MARATHON_MASTER="$zk/mesos"
MARATHON_ZK="$zk/marathon"
MARATHON_HTTP_PORT="8080"
CONF

start_unit marathon
