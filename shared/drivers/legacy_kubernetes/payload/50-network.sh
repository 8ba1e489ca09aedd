#!/bin/sh
# Flannel: the masters write the network's shape into etcd; flanneld on every node takes a subnet of it, and docker
# starts after flanneld so that containers get their addresses from there.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin network
# shellcheck source=/dev/null
. /etc/jeroboam/waiting

KEY=/coreos.com/network

write_network() {
    curl -sS -f --noproxy '*' --max-time 5 -X PUT "http://127.0.0.1:2379/v2/keys$KEY/config" \
        --data-urlencode "value=$JB_FLANNEL_CONFIG"
}

options=
if [ "$JB_ROLE" = master ]; then
    wait_for 60 "etcd to take the network's configuration" write_network
    endpoints=http://127.0.0.1:2379
elif [ "$JB_TLS" = true ]; then
    endpoints=$(master_urls https 2379)
    options="-etcd-cafile=/etc/kubernetes/ssl/ca.crt -etcd-certfile=/etc/kubernetes/ssl/node.crt \
-etcd-keyfile=/etc/kubernetes/ssl/node.key"
else
    endpoints=$(master_urls http 2379)
fi

# Both spellings: the unit's variables were renamed between Fedora 21 and 23.
write_file /etc/sysconfig/flanneld 0644 root <<CONF
FLANNEL_ETCD="$endpoints"
FLANNEL_ETCD_KEY="$KEY"
FLANNEL_ETCD_ENDPOINTS="$endpoints"
FLANNEL_ETCD_PREFIX="$KEY"
FLANNEL_OPTIONS="-iface=$JB_PRIVATE_ADDRESS $options"
CONF

# A worker may be there before the masters, so flanneld keeps trying.
write_file /etc/systemd/system/flanneld.service.d/jeroboam.conf 0644 root <<'UNIT'
[Service]
Restart=always
RestartSec=5
TimeoutStartSec=0
UNIT
systemctl daemon-reload
start_waiting flanneld "flannel's subnet of this node"

# docker may have run before, and then its bridge has an address of docker's own choice.
systemctl stop docker || true
ip link delete docker0 || true
start_unit docker
