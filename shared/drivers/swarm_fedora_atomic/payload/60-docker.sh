#!/bin/sh
# docker listens on the node's address as well: with TLS only for who has a certificate of the bay's authority.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin docker

options="-H unix:///var/run/docker.sock -H tcp://0.0.0.0:2375"
if [ "$JB_TLS" = true ]; then
    options="$options --tlsverify --tlscacert=/etc/docker/ca.crt --tlscert=/etc/docker/server.crt \
--tlskey=/etc/docker/server.key"
fi
for label in $JB_NODE_LABELS; do options="$options --label $label"; done
[ ! -s /etc/jeroboam/docker-options ] || options="$options $(cat /etc/jeroboam/docker-options)"

mkdir -p /etc/sysconfig
touch /etc/sysconfig/docker
{
    grep -v -E '^(OPTIONS|INSECURE_REGISTRY)=' /etc/sysconfig/docker || true
    echo "OPTIONS='$options'"
    [ -z "$JB_INSECURE_REGISTRY" ] || echo "INSECURE_REGISTRY='--insecure-registry $JB_INSECURE_REGISTRY'"
} >"$JB_STATE/docker.sysconfig"
write_file /etc/sysconfig/docker 0644 root <"$JB_STATE/docker.sysconfig"

# A socket of systemd's would take the place of docker's own.
systemctl disable docker.socket 2>/dev/null || true
systemctl stop docker.socket 2>/dev/null || true
systemctl daemon-reload
start_unit docker
