#!/bin/sh
# What every node needs before anything else: the proxies of the guide, trust in the cloud's authorities, and three
# tools.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin base

# NAME="value", as systemd, logins and shells read it.
assign() {
    printf '%s="%s"\n' "$1" "$(printf '%s' "$2" | sed 's/[\\"$`]/\\&/g')"
}

# HTTP_PROXY, HTTPS_PROXY and NO_PROXY in the environment of logins and of the container engines. What stays within the
# bay never goes through a proxy.
if [ -n "$JB_HTTP_PROXY$JB_HTTPS_PROXY" ]; then
    direct=localhost,127.0.0.1,169.254.169.254
    for list in "$JB_PRIVATE_ADDRESS" "$JB_MASTER_ADDRESSES" "$JB_API_ADDRESS" "${JB_SERVICE_CIDR:-}" "$JB_NO_PROXY"; do
        [ -z "$list" ] || direct="$direct,$list"
    done
    {
        [ -z "$JB_HTTP_PROXY" ] || { assign HTTP_PROXY "$JB_HTTP_PROXY" && assign http_proxy "$JB_HTTP_PROXY"; }
        [ -z "$JB_HTTPS_PROXY" ] || { assign HTTPS_PROXY "$JB_HTTPS_PROXY" && assign https_proxy "$JB_HTTPS_PROXY"; }
        assign NO_PROXY "$direct"
        assign no_proxy "$direct"
    } | write_file /etc/jeroboam/proxy.env 0644 root
    touch /etc/environment
    grep -v -i -E '^(http|https|no)_proxy=' /etc/environment >"$JB_STATE/environment" || true
    cat "$JB_STATE/environment" /etc/jeroboam/proxy.env | write_file /etc/environment 0644 root
    for engine in docker containerd; do
        write_file "/etc/systemd/system/$engine.service.d/jeroboam-proxy.conf" 0644 root <<'UNIT'
[Service]
EnvironmentFile=/etc/jeroboam/proxy.env
UNIT
    done
fi

# Families differ in where an authority goes: Fedora, Debian, and images whose /usr is read-only (Flatcar). Where no
# tool makes the bundle that programs read, it becomes one of our own: what the image came with and ours.
trust() {
    debian=/usr/local/share/ca-certificates
    if command -v update-ca-trust >/dev/null; then
        install -D -m 0644 "$1" /etc/pki/ca-trust/source/anchors/jeroboam-cloud.pem
        update-ca-trust extract
    elif command -v update-ca-certificates >/dev/null && mkdir -p "$debian" 2>/dev/null && [ -w "$debian" ]; then
        install -m 0644 "$1" "$debian/jeroboam-cloud.crt"
        update-ca-certificates
    elif [ -d /etc/ssl/certs ]; then
        install -m 0644 "$1" /etc/ssl/certs/jeroboam-cloud.pem
        if command -v update-ca-certificates >/dev/null; then
            update-ca-certificates
        else
            bundle=/etc/ssl/certs/ca-certificates.crt
            [ -e "$JB_STATE/ca-bundle" ] || cat "$bundle" >"$JB_STATE/ca-bundle" 2>/dev/null || true
            cat "$JB_STATE/ca-bundle" "$1" | write_file "$bundle" 0644 root
        fi
    else
        fail "the image has no place to trust the cloud's authority"
    fi
}
[ ! -s /etc/jeroboam/cloud-ca.pem ] || trust /etc/jeroboam/cloud-ca.pem

missing=
for tool in curl jq openssl; do
    command -v "$tool" >/dev/null || missing="$missing $tool"
done
# shellcheck disable=SC2086 # names, separated by spaces
[ -z "$missing" ] || install_packages $missing

systemctl daemon-reload
