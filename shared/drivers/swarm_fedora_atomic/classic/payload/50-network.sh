#!/bin/sh
# Containers' network: flannel under docker's bridge, or docker's overlay networks, which keep their state in etcd.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin network

KEY=/coreos.com/network

write_network() {
    curl -sS -f --noproxy '*' --max-time 5 -X PUT "http://127.0.0.1:2379/v2/keys$KEY/config" \
        --data-urlencode "value=$JB_FLANNEL_CONFIG"
}

# What the agent restarts later must not wait for docker's own options: they are in a file that docker's part reads.
if [ "$JB_NETWORK_DRIVER" != flannel ]; then
    options="--cluster-store=etcd://$(master_urls x 2379 | sed 's,x://,,g') --cluster-advertise=$JB_PRIVATE_ADDRESS:2375"
    if [ "$JB_TLS" = true ]; then
        options="$options --cluster-store-opt kv.cacertfile=/etc/docker/ca.crt \
--cluster-store-opt kv.certfile=/etc/docker/server.crt --cluster-store-opt kv.keyfile=/etc/docker/server.key"
    fi
    # Gone from docker 20.10 on, which has swarm mode for this.
    if dockerd --help 2>/dev/null | grep -q -e --cluster-store || docker daemon --help 2>/dev/null | grep -q -e --cluster-store; then
        echo "$options" | write_file /etc/jeroboam/docker-options 0600 root
    fi
    exit 0
fi

scheme=http
options=
if [ "$JB_TLS" = true ]; then
    scheme=https
    options="-etcd-cafile=/etc/flanneld/ssl/ca.crt -etcd-certfile=/etc/flanneld/ssl/node.crt \
-etcd-keyfile=/etc/flanneld/ssl/node.key"
fi
[ "$JB_ROLE" != master ] || wait_for 60 "etcd to take the network's configuration" write_network

# Both spellings: the unit's variables were renamed between Fedora 21 and 23.
endpoints=$(master_urls "$scheme" 2379)
write_file /etc/sysconfig/flanneld 0644 root <<CONF
FLANNEL_ETCD="$endpoints"
FLANNEL_ETCD_KEY="$KEY"
FLANNEL_ETCD_ENDPOINTS="$endpoints"
FLANNEL_ETCD_PREFIX="$KEY"
FLANNEL_OPTIONS="-iface=$JB_PRIVATE_ADDRESS $options"
CONF

# A node may be there before the masters, so flanneld keeps trying.
write_file /etc/systemd/system/flanneld.service.d/jeroboam.conf 0644 root <<'UNIT'
[Service]
Restart=always
RestartSec=5
TimeoutStartSec=0
UNIT
systemctl daemon-reload
systemctl enable flanneld || fail "the image has no flanneld"
systemctl restart --no-block flanneld
wait_for "$JB_WAIT_SECONDS" "flanneld to get a subnet" systemctl is-active flanneld
