#!/bin/sh
# Swarm's agent: a container that tells the managers, through etcd, that this node's docker is there.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin swarm

sh /etc/jeroboam/swarm-unit swarm-agent "Swarm agent" "" "join --addr $JB_PRIVATE_ADDRESS:2375"
systemctl daemon-reload
start_unit swarm-agent
