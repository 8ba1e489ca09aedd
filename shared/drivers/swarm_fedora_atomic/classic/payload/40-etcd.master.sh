#!/bin/sh
# etcd, where swarm's managers and agents find one another: TLS towards other nodes, plain only on the loopback.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin etcd

data=/var/lib/etcd
if [ -n "$JB_ETCD_VOLUME" ] && [ ! -e "$JB_STATE/etcd-storage-ready" ]; then
    device=$(find_volume "$JB_ETCD_VOLUME" /dev/vdc)
    mkfs.xfs -f -L jb-etcd "$device"
    mkdir -p "$data"
    grep -q '^LABEL=jb-etcd ' /etc/fstab || echo "LABEL=jb-etcd $data xfs defaults,nofail 0 2" >>/etc/fstab
    mount "$data"
    needs_mount etcd "$data"
    chown "$(owner_or_root etcd)" "$data"
    touch "$JB_STATE/etcd-storage-ready"
fi

scheme=http
[ "$JB_TLS" != true ] || scheme=https
{
    cat <<CONF
ETCD_NAME="$JB_NODE_NAME"
ETCD_DATA_DIR="$data/default.etcd"
ETCD_ENABLE_V2="true"
ETCD_LISTEN_CLIENT_URLS="$scheme://$JB_PRIVATE_ADDRESS:2379,http://127.0.0.1:2379"
ETCD_ADVERTISE_CLIENT_URLS="$scheme://$JB_PRIVATE_ADDRESS:2379"
ETCD_LISTEN_PEER_URLS="$scheme://$JB_PRIVATE_ADDRESS:2380"
ETCD_INITIAL_ADVERTISE_PEER_URLS="$scheme://$JB_PRIVATE_ADDRESS:2380"
CONF
    if [ -n "$JB_DISCOVERY_URL" ]; then
        echo "ETCD_DISCOVERY=\"$JB_DISCOVERY_URL\""
        proxy=$JB_HTTP_PROXY
        case $JB_DISCOVERY_URL in https:*) proxy=$JB_HTTPS_PROXY ;; esac
        [ -z "$proxy" ] || echo "ETCD_DISCOVERY_PROXY=\"$proxy\""
    else
        echo "ETCD_INITIAL_CLUSTER=\"$(etcd_initial_cluster)\""
        echo "ETCD_INITIAL_CLUSTER_TOKEN=\"$JB_BAY_ID\""
        echo 'ETCD_INITIAL_CLUSTER_STATE="new"'
    fi
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

# A member answers only when a quorum of masters is there, so the start itself is not waited for.
write_file /etc/systemd/system/etcd.service.d/jeroboam.conf 0644 root <<'UNIT'
[Service]
Restart=always
RestartSec=5
TimeoutStartSec=0
UNIT
systemctl daemon-reload
systemctl enable etcd
systemctl restart --no-block etcd
wait_for "$JB_WAIT_SECONDS" "etcd to answer" curl -sS -f --noproxy '*' --max-time 5 http://127.0.0.1:2379/health
