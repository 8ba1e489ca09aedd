#!/bin/sh
# etcd: a member on every master. TLS towards other nodes, both ways; plain only on the loopback, where kube-apiserver
# and the checks use it.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin etcd
# shellcheck source=/dev/null
. /etc/jeroboam/start-etcd
