#!/bin/sh
# What every node needs before anything else: trust in the cloud's authorities, and the proxies of the guide.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin base

for tool in curl jq openssl; do
    command -v "$tool" >/dev/null || fail "the image has no $tool"
done

if [ -s /etc/jeroboam/cloud-ca.pem ]; then
    if command -v update-ca-trust >/dev/null; then
        install -m 0644 /etc/jeroboam/cloud-ca.pem /etc/pki/ca-trust/source/anchors/jeroboam-cloud.pem
        update-ca-trust extract
    elif command -v update-ca-certificates >/dev/null; then
        install -m 0644 /etc/jeroboam/cloud-ca.pem /usr/local/share/ca-certificates/jeroboam-cloud.crt
        update-ca-certificates
    else
        fail "the image has no tool to trust the cloud's authority"
    fi
fi

# HTTP_PROXY, HTTPS_PROXY and NO_PROXY in the environment of logins and of docker. What stays within the bay never
# goes through a proxy.
if [ -n "$JB_HTTP_PROXY$JB_HTTPS_PROXY" ]; then
    no_proxy="localhost,127.0.0.1,169.254.169.254,$JB_PRIVATE_ADDRESS,$JB_MASTER_ADDRESS"
    [ -z "$JB_NO_PROXY" ] || no_proxy="$no_proxy,$JB_NO_PROXY"
    {
        [ -z "$JB_HTTP_PROXY" ] || printf 'HTTP_PROXY=%s\nhttp_proxy=%s\n' "$JB_HTTP_PROXY" "$JB_HTTP_PROXY"
        [ -z "$JB_HTTPS_PROXY" ] || printf 'HTTPS_PROXY=%s\nhttps_proxy=%s\n' "$JB_HTTPS_PROXY" "$JB_HTTPS_PROXY"
        printf 'NO_PROXY=%s\nno_proxy=%s\n' "$no_proxy" "$no_proxy"
    } | write_file /etc/jeroboam/proxy.env 0644 root
    touch /etc/environment
    grep -v -i -E '^(http|https|no)_proxy=' /etc/environment >"$JB_STATE/environment" || true
    cat "$JB_STATE/environment" /etc/jeroboam/proxy.env | write_file /etc/environment 0644 root
    write_file /etc/systemd/system/docker.service.d/jeroboam-proxy.conf 0644 root <<'UNIT'
[Service]
EnvironmentFile=/etc/jeroboam/proxy.env
UNIT
fi

systemctl daemon-reload
