#!/bin/sh
# etcd: TLS towards other nodes, plain only on the loopback, where kube-apiserver and the checks use it.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin etcd

scheme=http
[ "$JB_TLS" != true ] || scheme=https
{
    cat <<CONF
ETCD_NAME="$JB_NODE_NAME"
ETCD_DATA_DIR="/var/lib/etcd/default.etcd"
ETCD_ENABLE_V2="true"
ETCD_LISTEN_CLIENT_URLS="$scheme://$JB_PRIVATE_ADDRESS:2379,http://127.0.0.1:2379"
ETCD_ADVERTISE_CLIENT_URLS="$scheme://$JB_PRIVATE_ADDRESS:2379"
ETCD_LISTEN_PEER_URLS="$scheme://$JB_PRIVATE_ADDRESS:2380"
ETCD_INITIAL_ADVERTISE_PEER_URLS="$scheme://$JB_PRIVATE_ADDRESS:2380"
ETCD_INITIAL_CLUSTER="$JB_NODE_NAME=$scheme://$JB_PRIVATE_ADDRESS:2380"
ETCD_INITIAL_CLUSTER_TOKEN="$JB_BAY_ID"
ETCD_INITIAL_CLUSTER_STATE="new"
CONF
    if [ "$JB_TLS" = true ]; then
        for prefix in ETCD ETCD_PEER; do
            cat <<CONF
${prefix}_CERT_FILE="/etc/etcd/ssl/node.crt"
${prefix}_KEY_FILE="/etc/etcd/ssl/node.key"
${prefix}_TRUSTED_CA_FILE="/etc/etcd/ssl/ca.crt"
${prefix}_CLIENT_CERT_AUTH="true"
CONF
        done
    fi
} | write_file /etc/etcd/etcd.conf 0644 root

start_unit etcd
wait_for 120 "etcd to answer" curl -sS -f --noproxy '*' --max-time 5 http://127.0.0.1:2379/health
