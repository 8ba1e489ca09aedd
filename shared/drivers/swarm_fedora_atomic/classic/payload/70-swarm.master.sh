#!/bin/sh
# Swarm's manager: a container that speaks docker's API for all nodes. Managers choose a leader through etcd.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin swarm

sh /etc/jeroboam/swarm-unit swarm-manager "Swarm manager" "-p $JB_API_PORT:2375" \
    "manage -H tcp://0.0.0.0:2375 --strategy $JB_SWARM_STRATEGY --replication --advertise $JB_PRIVATE_ADDRESS:$JB_API_PORT"
systemctl daemon-reload
start_unit swarm-manager
