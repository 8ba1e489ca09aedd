#!/bin/sh
# Kubernetes' control plane: kubelet is a systemd service, as kube-apiserver is where the image has it; the rest are
# static pods. What listens without TLS listens on the loopback only, unless the bay has no TLS.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin kubernetes

ssl=/etc/kubernetes/ssl
mkdir -p "$ssl" /etc/kubernetes/manifests

write_file /etc/kubernetes/config 0644 root <<CONF
KUBE_LOGTOSTDERR="--logtostderr=true"
KUBE_LOG_LEVEL="--v=2"
KUBE_ALLOW_PRIV="--allow-privileged=true"
KUBE_MASTER="--master=http://127.0.0.1:$JB_LOCAL_API_PORT"
CONF

plugins=NamespaceLifecycle,LimitRanger,ServiceAccount,ResourceQuota
if [ "$JB_TLS" = true ]; then
    [ -s "$ssl/service-account.key" ] || fail "the masters' service-account key did not come with the certificates"
    address="--insecure-bind-address=127.0.0.1 --insecure-port=$JB_LOCAL_API_PORT --bind-address=0.0.0.0 \
--secure-port=$JB_API_PORT"
    tls="--tls-cert-file=$ssl/node.crt --tls-private-key-file=$ssl/node.key --client-ca-file=$ssl/ca.crt \
--kubelet-certificate-authority=$ssl/ca.crt --kubelet-client-certificate=$ssl/node.crt \
--kubelet-client-key=$ssl/node.key --service-account-key-file=$ssl/service-account.key"
    kubelet_tls="--tls-cert-file=$ssl/node.crt --tls-private-key-file=$ssl/node.key"
else
    # Nobody is asked who they are, so that nothing would ever look at a service account's token.
    plugins=NamespaceLifecycle,LimitRanger,ResourceQuota
    address="--insecure-bind-address=0.0.0.0 --insecure-port=$JB_LOCAL_API_PORT --secure-port=0"
    tls=
    kubelet_tls=
fi
masters=$(echo "$JB_MASTER_ADDRESSES" | tr ',' '\n' | grep -c .)
count=
[ "$masters" -le 1 ] || count="--apiserver-count=$masters"
cloud=
[ "$JB_CLOUD" != true ] || cloud="--cloud-provider=openstack --cloud-config=/etc/kubernetes/cloud-config"

write_file /etc/kubernetes/apiserver 0644 root <<CONF
KUBE_API_ADDRESS="$address --advertise-address=$JB_PRIVATE_ADDRESS"
KUBE_ETCD_SERVERS="--etcd-servers=http://127.0.0.1:2379"
KUBE_SERVICE_ADDRESSES="--service-cluster-ip-range=$JB_SERVICE_CIDR"
KUBE_ADMISSION_CONTROL="--admission-control=$plugins"
KUBE_API_ARGS="--runtime-config=api/all=true $count $tls $cloud"
CONF

# The master's kubelet only runs the control plane's pods; it is no node for the users' ones.
write_file /etc/kubernetes/kubelet 0644 root <<CONF
KUBELET_ADDRESS="--address=$JB_PRIVATE_ADDRESS"
KUBELET_HOSTNAME="--hostname-override=$JB_PRIVATE_ADDRESS"
KUBELET_API_SERVER="--api-servers=http://127.0.0.1:$JB_LOCAL_API_PORT"
KUBELET_ARGS="--register-node=false --config=/etc/kubernetes/manifests --cadvisor-port=0 --read-only-port=0 \
--healthz-bind-address=127.0.0.1 --pod-infra-container-image=$JB_PAUSE_IMAGE $kubelet_tls"
CONF

sh /etc/jeroboam/write-manifests
systemctl daemon-reload
for unit in $JB_KUBERNETES_UNITS; do start_unit "$unit"; done
