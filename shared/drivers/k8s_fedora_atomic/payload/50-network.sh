#!/bin/sh
# Flannel: the master writes the network's shape into etcd; flanneld on every node takes a subnet of it, and docker
# starts after flanneld so that containers get their addresses from there.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin network

KEY=/coreos.com/network

write_network() {
    curl -sS -f --noproxy '*' --max-time 5 -X PUT "http://127.0.0.1:2379/v2/keys$KEY/config" \
        --data-urlencode "value=$JB_FLANNEL_CONFIG"
}

if [ "$JB_ROLE" = master ]; then
    wait_for 60 "etcd to take the network's configuration" write_network
    endpoint=http://127.0.0.1:2379
    options=
elif [ "$JB_TLS" = true ]; then
    endpoint=https://$JB_API_ADDRESS:2379
    options="-etcd-cafile=/etc/kubernetes/ssl/ca.crt -etcd-certfile=/etc/kubernetes/ssl/node.crt \
-etcd-keyfile=/etc/kubernetes/ssl/node.key"
else
    endpoint=http://$JB_API_ADDRESS:2379
    options=
fi

# Both spellings: the unit's variables were renamed between Fedora 21 and 23.
write_file /etc/sysconfig/flanneld 0644 root <<CONF
FLANNEL_ETCD="$endpoint"
FLANNEL_ETCD_KEY="$KEY"
FLANNEL_ETCD_ENDPOINTS="$endpoint"
FLANNEL_ETCD_PREFIX="$KEY"
FLANNEL_OPTIONS="-iface=$JB_PRIVATE_ADDRESS $options"
CONF

# A worker may be there before its master, so flanneld keeps trying.
write_file /etc/systemd/system/flanneld.service.d/jeroboam.conf 0644 root <<'UNIT'
[Service]
Restart=always
RestartSec=5
TimeoutStartSec=0
UNIT
systemctl daemon-reload
systemctl enable flanneld
systemctl restart --no-block flanneld
wait_for "$JB_WAIT_SECONDS" "flanneld to get a subnet" systemctl is-active flanneld
start_unit docker
