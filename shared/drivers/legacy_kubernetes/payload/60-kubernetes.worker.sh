#!/bin/sh
# A worker: kubelet as a systemd service, kube-proxy as a static pod; both speak to the master with the node's own
# certificate.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin kubernetes

ssl=/etc/kubernetes/ssl
mkdir -p /etc/kubernetes/manifests

write_file /etc/kubernetes/config 0644 root <<CONF
KUBE_LOGTOSTDERR="--logtostderr=true"
KUBE_LOG_LEVEL="--v=2"
KUBE_ALLOW_PRIV="--allow-privileged=true"
KUBE_MASTER="--master=$JB_API_SERVER"
CONF

{
    cat <<CONF
apiVersion: v1
kind: Config
current-context: node
clusters:
- name: bay
  cluster:
    server: $JB_API_SERVER
CONF
    [ "$JB_TLS" != true ] || echo "    certificate-authority: $ssl/ca.crt"
    cat <<CONF
contexts:
- name: node
  context:
    cluster: bay
    user: node
users:
- name: node
CONF
    if [ "$JB_TLS" = true ]; then
        printf '  user:\n    client-certificate: %s/node.crt\n    client-key: %s/node.key\n' "$ssl" "$ssl"
    else
        echo '  user: {}'
    fi
} | write_file /etc/kubernetes/node.kubeconfig 0600 root

# kube-apiserver dials a node by its name, so that the name is the address; only the cloud provider insists on Nova's.
node=$JB_PRIVATE_ADDRESS
options="--kubeconfig=/etc/kubernetes/node.kubeconfig --config=/etc/kubernetes/manifests --cadvisor-port=0 \
--read-only-port=0 --healthz-bind-address=127.0.0.1 --pod-infra-container-image=$JB_PAUSE_IMAGE \
--node-labels=$(echo "$JB_NODE_LABELS" | tr ' ' ,)"
if [ "$JB_CLOUD" = true ]; then
    node=$JB_NODE_NAME
    options="$options --cloud-provider=openstack --cloud-config=/etc/kubernetes/cloud-config"
fi
[ "$JB_TLS" != true ] || options="$options --tls-cert-file=$ssl/node.crt --tls-private-key-file=$ssl/node.key"

write_file /etc/kubernetes/kubelet 0644 root <<CONF
KUBELET_ADDRESS="--address=$JB_PRIVATE_ADDRESS"
KUBELET_HOSTNAME="--hostname-override=$node"
KUBELET_API_SERVER="--api-servers=$JB_API_SERVER"
KUBELET_ARGS="$options"
CONF

sh /etc/jeroboam/write-manifests
systemctl daemon-reload
for unit in $JB_KUBERNETES_UNITS; do start_unit "$unit"; done
