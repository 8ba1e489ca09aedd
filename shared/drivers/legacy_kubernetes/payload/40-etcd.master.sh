#!/bin/sh
# etcd: a member on every master. TLS towards other nodes, both ways; plain only on the loopback, where kube-apiserver
# and the checks use it.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin etcd
# shellcheck source=/dev/null
. /etc/jeroboam/waiting

user=$(owner_or_root etcd)
scheme=http
[ "$JB_TLS" != true ] || scheme=https
here=$(address_in_url "$JB_PRIVATE_ADDRESS")

# Through the bay's proxy, unless the user named the service's host among those that need none.
discovery() {
    echo "ETCD_DISCOVERY=\"$JB_DISCOVERY_URL\""
    host=${JB_DISCOVERY_URL#*://}
    host=${host%%/*}
    proxy=$JB_HTTP_PROXY
    case $JB_DISCOVERY_URL in https:*) proxy=$JB_HTTPS_PROXY ;; esac
    case ",$JB_NO_PROXY," in *",${host%:*},"*) proxy= ;; esac
    [ -z "$proxy" ] || echo "ETCD_DISCOVERY_PROXY=\"$proxy\""
}

# Members know one another from the start, unless the user named a discovery service; etcd takes one or the other.
{
    cat <<CONF
ETCD_NAME="$JB_NODE_NAME"
ETCD_DATA_DIR="/var/lib/etcd/default.etcd"
ETCD_ENABLE_V2="true"
ETCD_LISTEN_CLIENT_URLS="$scheme://$here:2379,http://127.0.0.1:2379"
ETCD_ADVERTISE_CLIENT_URLS="$scheme://$here:2379"
ETCD_LISTEN_PEER_URLS="$scheme://$here:2380"
ETCD_INITIAL_ADVERTISE_PEER_URLS="$scheme://$here:2380"
CONF
    if [ -n "$JB_DISCOVERY_URL" ]; then
        discovery
    else
        cat <<CONF
ETCD_INITIAL_CLUSTER="$(etcd_initial_cluster)"
ETCD_INITIAL_CLUSTER_TOKEN="$JB_BAY_ID"
ETCD_INITIAL_CLUSTER_STATE="new"
CONF
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

# etcd says that it is ready once most members are there, and masters come up when they come up.
write_file /etc/systemd/system/etcd.service.d/jeroboam.conf 0644 root <<UNIT
[Unit]
RequiresMountsFor=/var/lib/etcd

[Service]
User=$user
Restart=always
RestartSec=5
TimeoutStartSec=0
UNIT
mkdir -p /var/lib/etcd
chown -R "$user" /var/lib/etcd
chmod 0700 /var/lib/etcd

systemctl daemon-reload
start_waiting etcd "most of the masters' etcd members"
wait_for "$JB_WAIT_SECONDS" "etcd to answer" curl -sS -f --noproxy '*' --max-time 5 http://127.0.0.1:2379/health
