# shellcheck shell=sh disable=SC2034
# Sourced after lib.sh by the parts that deal with Kubernetes; its variables are for them.

JB_PKI=/etc/kubernetes/pki
JB_KUBEADM=$JB_STATE/kubeadm.yaml
# A master speaks to the kube-apiserver beside it, so that it needs no other master to be alive.
case $JB_ROLE in
    master) JB_API=https://$(address_in_url "$JB_PRIVATE_ADDRESS"):$JB_API_PORT ;;
    *) JB_API=https://$(address_in_url "$JB_API_ADDRESS"):$JB_API_PORT ;;
esac
export KUBECONFIG=/etc/kubernetes/admin.conf

# try TIMES COMMAND...: with pauses of 5, 10, 20, 40 s and so on between.
try() {
    jb_left=$1
    jb_pause=5
    shift
    until "$@"; do
        jb_left=$((jb_left - 1))
        [ "$jb_left" -gt 0 ] || return 1
        sleep "$jb_pause"
        jb_pause=$((jb_pause * 2))
    done
}

# time_left: seconds until Heat gives this node up, less what it takes to say why; bay.env is as old as the node.
time_left() {
    jb_seconds=$((JB_WAIT_SECONDS - $(date +%s) + $(stat -c %Y /etc/jeroboam/bay.env)))
    echo "$((jb_seconds > 300 ? jb_seconds : 300))"
}

# digest FILE...: names what the files hold, whichever order certificates have in them.
digest() { cat "$@" | LC_ALL=C sort | sha256sum | cut -c 1-16; }

# trusted: names the authorities whose certificates kube-apiserver and others of a master trust.
trusted() { digest "$JB_PKI/ca.crt" "$JB_PKI/front-proxy-ca.crt"; }

# api PATH [curl options]: as this node, with its own certificate.
api() {
    jb_path=$1
    shift
    curl -sS -f --noproxy '*' --max-time 10 --cacert "$JB_PKI/ca.crt" --cert "$JB_PKI/kubelet.crt" \
        --key "$JB_PKI/kubelet.key" "$@" "$JB_API$jb_path"
}
