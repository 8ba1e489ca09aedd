#!/bin/sh
# Jeroboam's node agent. Needs curl, openssl and jq.
#
#   node-agent first-certificate   once, at boot: a key made here, a certificate for it from the bay's authority
#   node-agent run                 from a timer: asks what is wanted of this node, renews, reports
#
# It holds no credential of the cloud and no password: the first certificate is asked for with the secret of this
# node's own user-data, everything later with the certificate itself. The wire is in docs/driver-contract.md.
# Reads /etc/jeroboam/bay.env. Everything it writes lies in /var/lib/jeroboam (0700); the driver's
# /etc/jeroboam/install-certificates puts the files where the services want them.

set -eu
umask 077
# shellcheck source=/dev/null
. "${JEROBOAM_ENV:-/etc/jeroboam/bay.env}"

CONF=${JEROBOAM_CONF:-/etc/jeroboam}
STATE=${JEROBOAM_STATE:-/var/lib/jeroboam}
PKI=$STATE/pki
METADATA=${JEROBOAM_METADATA:-http://169.254.169.254/openstack/latest/meta_data.json}
WORK=
mkdir -p "$STATE" "$PKI"

cleanup() { [ -z "$WORK" ] || rm -rf "$WORK"; }
trap cleanup EXIT
trap 'exit 1' HUP INT TERM
WORK=$(mktemp -d "$STATE/work.XXXXXX")

log() { echo "jeroboam-agent: $*" >&2; }

# The reason is kept for whoever reports this node to Heat.
die() {
    log "$*"
    echo "$*" >"$STATE/agent-error"
    exit 1
}

# The Nova id of this server: cloud-init knows it, else the metadata service does.
server_id() {
    if [ ! -s "$STATE/server-id" ]; then
        id=$(cat /var/lib/cloud/data/instance-id 2>/dev/null || true)
        case $id in
            ????????-????-????-????-????????????) ;;
            *) id=$(curl -sS -f --noproxy '*' --max-time 20 "$METADATA" | jq -r '.uuid // empty') || id= ;;
        esac
        [ -n "$id" ] || return 1
        echo "$id" >"$STATE/server-id"
    fi
    cat "$STATE/server-id"
}

# call METHOD URL [curl options]: body to $WORK/answer, headers to $WORK/headers; prints the status, 000 if no answer.
call() {
    method=$1
    url=$2
    shift 2
    curl -sS -X "$method" --max-time 60 -H 'Accept: application/json' -D "$WORK/headers" -o "$WORK/answer" \
        -w '%{http_code}' "$@" "$url" 2>"$WORK/curl-error" || true
}

as_node() {
    method=$1
    url=$2
    shift 2
    call "$method" "$url" --cert "$PKI/node.crt" --key "$PKI/node.key" "$@"
}

# A header's value from the last answer.
header() { tr -d '\r' <"$WORK/headers" | sed -n "s/^$1: *//Ip" | tail -n 1; }

# What the answer says went wrong, in one short line.
complaint() {
    text=$(jq -r '.errors[0].detail // .errors[0].title // empty' "$WORK/answer" 2>/dev/null || true)
    [ -n "$text" ] || text=$(head -c 200 "$WORK/curl-error" 2>/dev/null || true)
    printf '%s' "$text" | tr '\n' ' ' | head -c 200
}

# A new key and a CSR with all names and addresses of this node. The authority decides subject and usages by role.
new_request() {
    names=
    for name in $JB_DNS_NAMES; do names="$names,DNS:$name"; done
    for address in $JB_IP_ADDRESSES; do names="$names,IP:$address"; done
    {
        printf '[req]\nprompt=no\ndistinguished_name=dn\nreq_extensions=ext\n'
        printf '[dn]\nCN=%s\n[ext]\nsubjectAltName=%s\n' "$JB_NODE_NAME" "${names#,}"
    } >"$WORK/csr.cnf"
    openssl ecparam -name prime256v1 -genkey -noout -out "$WORK/node.key"
    openssl req -new -sha256 -config "$WORK/csr.cnf" -key "$WORK/node.key" -out "$WORK/node.csr"
}

# request_body [SECRET_FILE]: nothing secret appears on a command line, where other users could read it.
request_body() {
    cat "${1:-/dev/null}" | jq -R -s --arg server "$(server_id)" --arg role "$JB_ROLE" --arg csr "$(cat "$WORK/node.csr")" \
        '{server_id: $server, role: $role, csr: $csr} + (rtrimstr("\n") | if . == "" then {} else {secret: .} end)' \
        >"$WORK/body"
}

# Take the answer only if it is for our key and from the authority that we trust, then swap the files in. Key and
# certificate go into a folder of their own behind one link, so that nobody ever meets a pair that does not match.
accept_certificate() {
    jq -r '.pem // empty' "$WORK/answer" >"$WORK/node.crt"
    openssl verify -CAfile "$PKI/ca.crt" "$WORK/node.crt" >/dev/null 2>&1 ||
        die "the certificate is not from this bay's authority"
    openssl x509 -in "$WORK/node.crt" -noout -pubkey >"$WORK/one"
    openssl pkey -in "$WORK/node.key" -pubout >"$WORK/two"
    cmp -s "$WORK/one" "$WORK/two" || die "the certificate is for another key"
    pair=$(mktemp -d "$PKI/pair.XXXXXX") || die "no room for the certificate"
    cp "$WORK/node.key" "$WORK/node.crt" "$pair/" || die "no room for the certificate"
    ln -sfn "$(basename "$pair")" "$PKI/next"
    mv -fT "$PKI/next" "$PKI/current" || die "the certificate could not be swapped in"
    for name in node.key node.crt; do
        [ -L "$PKI/$name" ] || ln -s "current/$name" "$PKI/$name"
    done
    for old in "$PKI"/pair.*; do
        [ "$old" = "$pair" ] || rm -rf "$old"
    done
    sh "$CONF/install-certificates" || die "the certificates could not be installed"
}

# A server that Nova does not show yet, an API that restarts: wait. A refusal will not change: stop.
first_certificate() {
    [ -s "$PKI/ca.crt" ] || cp "$CONF/ca.pem" "$PKI/ca.crt"
    if [ -s "$PKI/node.crt" ] && openssl x509 -in "$PKI/node.crt" -noout -checkend 3600 >/dev/null 2>&1; then
        sh "$CONF/install-certificates"
        return 0
    fi
    limit=$(($(date +%s) + JB_WAIT_SECONDS))
    pause=2
    new_request
    while :; do
        status=000
        if server_id >/dev/null; then
            request_body "$CONF/node-secret"
            status=$(call POST "$JB_API_URL/bays/$JB_BAY_ID/node-certificates" \
                -H 'Content-Type: application/json' --data-binary "@$WORK/body")
        fi
        case $status in
            200 | 201) break ;;
            408 | 425 | 429) ;;
            4??) die "certificate refused ($status): $(complaint)" ;;
        esac
        [ "$(date +%s)" -lt "$limit" ] || die "no certificate in $JB_WAIT_SECONDS s (last answer $status): $(complaint)"
        sleep "$pause"
        pause=$((pause < 30 ? pause * 2 : 30))
    done
    accept_certificate
    rm -f "$WORK/body"
}

restart_units() {
    for unit in $JB_RESTART_UNITS; do
        systemctl try-restart "$unit" || log "$unit did not restart"
    done
}

# The authorities that the bay trusts now; during a rotation that is the old one and the new one.
take_authorities() {
    jq -r '.ca_pem // empty | rtrimstr("\n")' "$WORK/wanted" >"$WORK/ca.crt"
    [ -s "$WORK/ca.crt" ] || return 1
    ! cmp -s "$WORK/ca.crt" "$PKI/ca.crt" || return 1
    openssl x509 -in "$WORK/ca.crt" -noout || die "the authorities that were sent are no certificates"
    mv -f "$WORK/ca.crt" "$PKI/ca.crt"
    sh "$CONF/install-certificates" || die "the certificates could not be installed"
}

renew() {
    new_request
    request_body
    status=$(as_node POST "$JB_API_URL/bays/$JB_BAY_ID/node-certificates" \
        -H 'Content-Type: application/json' --data-binary "@$WORK/body")
    case $status in
        200 | 201) accept_certificate ;;
        *) die "renewal refused ($status): $(complaint)" ;;
    esac
}

# What this node looks like, and which revision of the wishes it has reached.
report() {
    healthy=true
    units=
    for unit in $JB_UNITS; do
        state=$(systemctl is-active "$unit" 2>/dev/null || true)
        [ "$state" = active ] || healthy=false
        units="$units$unit=$state "
    done
    jq -n --argjson healthy "$healthy" --arg units "$units" --arg revision "$1" \
        '{healthy: $healthy, revision: $revision,
          units: ($units | split(" ") | map(select(. != "") | split("=") | {key: .[0], value: .[1]}) | from_entries)}' \
        >"$WORK/report"
    status=$(as_node PUT "$JB_API_URL/nodes/self" -H 'Content-Type: application/json' --data-binary "@$WORK/report")
    case $status in 2??) ;; *) log "report not taken ($status)" ;; esac
}

# One look. Succeeds when an operation is running on the bay, so that the caller looks again soon.
look() {
    tag=$(cat "$STATE/etag" 2>/dev/null || true)
    if [ -n "$tag" ] && [ -s "$STATE/wanted.json" ]; then
        status=$(as_node GET "$JB_API_URL/nodes/self" -H "If-None-Match: $tag")
    else
        status=$(as_node GET "$JB_API_URL/nodes/self")
    fi
    case $status in
        200) cp "$WORK/answer" "$WORK/wanted" ;;
        304) cp "$STATE/wanted.json" "$WORK/wanted" ;;
        *) log "no wishes ($status): $(complaint)" && return 1 ;;
    esac
    tag=$(header etag)
    if [ "$status" = 200 ]; then
        changed=false
        if take_authorities; then changed=true; fi
        if [ "$(jq -r '.renew // false' "$WORK/wanted")" = true ]; then renew && changed=true; fi
        [ "$changed" = false ] || restart_units
        # Only now, so that a run that was cut short does all of it again.
        mv -f "$WORK/wanted" "$STATE/wanted.json"
        printf '%s\n' "$tag" >"$STATE/etag"
    fi
    report "$(jq -r '.revision // ""' "$STATE/wanted.json")"
    [ "$(jq -r '.operation_active // false' "$STATE/wanted.json")" = true ]
}

# The timer fires 3 min after the last run; up to 4 more are waited here, so that nodes of a bay do not come together.
run() {
    [ -n "${JEROBOAM_NOW:-}" ] || sleep $(($(od -An -N2 -tu2 /dev/urandom) % 240))
    rounds=0
    while look && [ "$rounds" -lt 40 ]; do
        rounds=$((rounds + 1))
        sleep 15
    done
}

case ${1:-} in
    first-certificate) first_certificate ;;
    run) run ;;
    *) die "usage: node-agent first-certificate | run" ;;
esac
