#!/bin/sh
# shellcheck disable=SC1090,SC1091 # what is sourced is written when a node is made
# Jeroboam's node agent. Needs curl, openssl and jq.
#   node-agent first-certificate   once, at boot: a key made here, certificates for it from the bay's authorities
#   node-agent run                 from a timer: asks what is wanted of this node, renews, reports
# The first certificates are asked for with the secret of this node's own user-data, all that comes later with a
# signature by the node's key; the driver's install-certificates puts them in place. See docs/driver-contract.md.

set -eu
umask 077
CONF=${JEROBOAM_CONF:-/etc/jeroboam}
. "$CONF/bay.env"
STATE=${JEROBOAM_STATE:-/var/lib/jeroboam}
PKI=$STATE/pki
METADATA=${JEROBOAM_METADATA:-http://169.254.169.254/openstack/latest/meta_data.json}
WORK=$STATE/work.$$
mkdir -p "$PKI"
for left in "$STATE/work."*; do kill -0 "${left##*.}" 2>/dev/null || rm -rf "$left"; done # of runs that were killed
rm -rf "$WORK" && mkdir "$WORK"
trap 'rm -rf "$WORK"' EXIT
trap 'exit 1' HUP INT TERM

# What others read are links into one folder, so that nobody ever meets files that do not belong together.
for name in node.key node.crt ca.crt certificates authorities shared; do
    [ -L "$PKI/$name" ] || ln -s "current/$name" "$PKI/$name"
done
# A request whose answer is in place is no longer pending.
! cmp -s "$STATE/pending/node.key" "$PKI/node.key" || rm -rf "$STATE/pending"

log() { echo "jeroboam-agent: $*" >&2; }
# The reason is kept for whoever reports this node to Heat.
die() {
    echo "$*" | tee "$STATE/agent-error" >&2
    exit 1
}

# The Nova id of this server: cloud-init knows it, else the metadata service does.
server_id() {
    grep -E -x '[0-9a-f-]{36}' /var/lib/cloud/data/instance-id 2>/dev/null ||
        curl -sS -f --noproxy '*' --max-time 20 "$METADATA" | jq -r '.uuid | values'
}

# call METHOD URL BODY_FILE [curl options]: body to $WORK/answer, headers to $WORK/headers; prints the status, 000 if
# there was no answer. Asks directly, and when nobody is there through the bay's proxy.
call() {
    method=$1 url=$2 body=$3
    shift 3
    rm -f "$WORK/answer"
    [ "$body" = /dev/null ] || set -- "$@" -H 'Content-Type: application/json' --data-binary "@$body"
    set -- -sS --connect-timeout 15 --max-time 60 -H 'Accept: application/json' -H Expect: -D "$WORK/headers" \
        -o "$WORK/answer" -w '%{http_code}' -X "$method" "$@" "$url"
    status=$(curl --noproxy '*' "$@" 2>"$WORK/curl-error") || true
    if [ "$status" = 000 ] && [ -s "$CONF/proxy.env" ]; then
        status=$(set -a && . "$CONF/proxy.env" && curl "$@" 2>"$WORK/curl-error") || true
    fi
    echo "$status"
}

# as_node METHOD URL BODY_FILE [curl options]: proven by certificate, time, and our key's signature over the request.
as_node() {
    now=$(date +%s)
    path=${2#*://}
    printf '%s\n/%s\n%s\n%s\n' "$1" "${path#*/}" "$now" "$(openssl dgst -sha256 -r "$3" | cut -c -64)" >"$WORK/signed"
    openssl dgst -sha256 -sign "$PKI/node.key" -out "$WORK/signature" "$WORK/signed"
    printf 'header = "X-Jeroboam-%s: %s"\n' Certificate "$(openssl base64 -A -in "$PKI/node.crt")" Time "$now" \
        Signature "$(openssl base64 -A -in "$WORK/signature")" >"$WORK/proof"
    call "$@" -K "$WORK/proof"
}

# What the answer says went wrong, in one short line.
complaint() {
    { jq -e -r '.errors[0] | .detail // .title | values' "$WORK/answer" || cat "$WORK/curl-error"; } 2>/dev/null |
        tr '\n' ' ' | head -c 200
}

# A new key and a CSR with all names and addresses of this node; the authority decides subjects and usages by role. Kept
# until the answer is in place: who asks again after a crash must send the same CSR to get the same answer.
new_request() {
    [ ! -d "$STATE/pending" ] || return 0
    names=
    for name in $JB_DNS_NAMES; do names="$names,DNS:$name"; done
    for address in $JB_IP_ADDRESSES; do names="$names,IP:$address"; done
    printf '[req]\nprompt=no\ndistinguished_name=dn\nreq_extensions=ext\n[dn]\nCN=%.64s\n[ext]\nsubjectAltName=%s\n' \
        "$JB_NODE_NAME" "${names#,}" >"$WORK/csr.cnf"
    mkdir -p "$WORK/pending"
    case ${JB_NODE_KEY:-ec-p256} in
        rsa2048) openssl genrsa -out "$WORK/pending/node.key" 2048 2>/dev/null ;;
        *) openssl ecparam -name prime256v1 -genkey -noout -out "$WORK/pending/node.key" ;;
    esac
    openssl req -new -sha256 -config "$WORK/csr.cnf" -key "$WORK/pending/node.key" -out "$WORK/pending/node.csr"
    mv "$WORK/pending" "$STATE/pending"
}

# unpack FILE FILTER FOLDER SUFFIX: each entry of a JSON object becomes a file.
unpack() {
    jq -r "($2) // {} | keys[]" "$1" >"$WORK/names"
    while read -r name; do
        case $name in '' | .* | *[!A-Za-z0-9._-]*) die "the answer has an entry of an odd name" ;; esac
        jq -r --arg name "$name" "($2) | .[\$name] | rtrimstr(\"\\n\")" "$1" >"$3/$name$4"
        [ "$4" != .crt ] || openssl x509 -in "$3/$name.crt" -noout 2>/dev/null || die "$name.crt is no certificate"
    done <"$WORK/names"
}

# verify AUTHORITIES FILE. Only the words tell, since OpenSSL up to 1.0.2 also ends well for what is expired or signed
# by itself. Without the two variables it would trust the machine's own authorities, too.
verify() {
    words=$(SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/dev/null openssl verify -CAfile "$1" -untrusted "$2" "$2" 2>&1) || :
    [ "$words" = "$2: OK" ] || die "${2##*/} is not from this bay's authority: $(echo "$words" | tr '\n' ' ')"
}

# check FILE AUTHORITIES: a certificate for our key, from an authority of its kind.
check() {
    openssl x509 -in "$1" -noout -pubkey >"$WORK/its" 2>/dev/null || die "${1##*/} is no certificate"
    cmp -s "$WORK/its" "$WORK/ours" || die "${1##*/} is for another key"
    verify "$2" "$1"
}

# open_sealed FOLDER: what is encrypted to the key in it, from $WORK/sealed to $WORK/opened.
open_sealed() {
    openssl cms -decrypt -inform PEM -recip "$1/node.crt" -inkey "$1/node.key" <"$WORK/sealed" >"$WORK/opened"
}

# accept_answer AUTHORITIES: all of the answer or nothing. For Kubernetes' authority only those count that we trust
# already; the others are new to us and come in the same answer.
accept_answer() {
    set=$WORK/set
    mkdir "$set" "$set/certificates" "$set/authorities" "$set/shared"
    cp "$STATE/pending/node.key" "$set/"
    openssl pkey -in "$set/node.key" -pubout >"$WORK/ours"
    jq -r '.pem | values' "$WORK/answer" >"$set/node.crt"
    unpack "$WORK/answer" .certificates "$set/certificates" .crt
    unpack "$WORK/answer" .authorities "$set/authorities" .crt
    [ ! -e "$set/authorities/kubernetes.crt" ] || verify "$1" "$set/authorities/kubernetes.crt"
    cp "$1" "$set/authorities/kubernetes.crt"
    ln -s authorities/kubernetes.crt "$set/ca.crt"
    check "$set/node.crt" "$set/ca.crt"
    for file in "$set"/certificates/*.crt; do
        case ${file##*/} in etcd.crt | *-etcd-*) by=etcd ;; front-proxy-*) by=front_proxy ;; *) by=kubernetes ;; esac
        [ ! -e "$file" ] || check "$file" "$set/authorities/$by.crt"
    done
    [ ! -d "$PKI/shared" ] || cp -R "$PKI/shared/." "$set/shared"
    if jq -e -r '.shared | values' "$WORK/answer" >"$WORK/sealed"; then
        open_sealed "$set" || die "what the masters share cannot be opened with this node's key"
        unpack "$WORK/opened" . "$set/shared" ''
    fi
    swap_in
    rm -rf "$STATE/pending"
}

# All files of $WORK/set at once, by moving one link.
swap_in() {
    new=set.$(date +%s%N)
    mv "$WORK/set" "$PKI/$new"
    sync
    ln -sfn "$new" "$PKI/next"
    mv -fT "$PKI/next" "$PKI/current"
    for old in "$PKI"/set.*; do [ "${old##*/}" = "$new" ] || rm -rf "$old"; done
}

# Installs what is current and restarts what runs and reads it only at its start. Marked when done, so that the next run
# does again what this one was cut short in.
settle() {
    [ "$(readlink "$PKI/current")" != "$(cat "$STATE/installed" 2>/dev/null)" ] || return 0
    sh "$CONF/install-certificates" || die "the certificates could not be installed"
    for unit in $JB_RESTART_UNITS; do systemctl try-restart "$unit" || log "$unit did not restart"; done
    readlink "$PKI/current" >"$STATE/installed"
}

# ask CALL SECRET_FILE AUTHORITIES: certificates for a new key; `status` tells what came of it. A refusal ends the run.
# Nothing secret appears on a command line, where other users could read it.
ask() {
    status=000
    if ! id=$(server_id) || [ -z "$id" ]; then return 0; fi
    new_request
    jq -R -s --arg server "$id" --arg role "$JB_ROLE" --arg csr "$(cat "$STATE/pending/node.csr")" \
        '{server_id: $server, role: $role, csr: $csr} + (rtrimstr("\n") | if . == "" then {} else {secret: .} end)' \
        <"$2" >"$WORK/body"
    status=$("$1" POST "$JB_API_URL/bays/$JB_BAY_ID/node-certificates" "$WORK/body")
    case $status in
        2??) accept_answer "$3" ;;
        408 | 425 | 429) ;;
        4??) rm -rf "$STATE/pending" && die "certificate refused ($status): $(complaint)" ;;
    esac
}

# A server that Nova does not show yet, an API that restarts: wait.
first_certificate() {
    limit=$(($(date +%s) + JB_WAIT_SECONDS)) pause=2
    until [ -s "$PKI/node.crt" ]; do
        ask call "$CONF/node-secret" "$CONF/ca.pem"
        case $status in 2??) break ;; esac
        [ "$(date +%s)" -lt "$limit" ] || die "no certificate in $JB_WAIT_SECONDS s (last $status): $(complaint)"
        sleep "$pause"
        pause=$((pause < 30 ? pause * 2 : 30))
    done
    rm -f "$STATE/installed" && settle
}

# The authorities that the bay trusts now; during a rotation that is the old one and the new one.
take_authorities() {
    cp -R "$PKI/current/." "$WORK/set"
    unpack "$WORK/wanted" '((.ca_pem | values | {kubernetes: .}) // {}) + (.authorities // {})' \
        "$WORK/set/authorities" .crt
    if diff -r "$PKI/current/" "$WORK/set" >/dev/null; then rm -rf "$WORK/set"; else swap_in; fi
}

# What this node looks like, and which revision of the wishes and which credential it has reached.
report() {
    for unit in $JB_UNITS; do echo "$unit $(systemctl is-active "$unit" 2>/dev/null)"; done |
        jq -R -s --arg revision "$1" --argjson credential "$(grep -sx '[1-9][0-9]*' "$STATE/credential" || echo null)" '
            [split("\n")[] | select(. != "") | split(" ") | {(.[0]): .[1]}] | add // {} | {healthy: all(. == "active"),
            revision: $revision, units: ., credential_generation: $credential}' >"$WORK/report"
    case $(as_node PUT "$JB_API_URL/nodes/self" "$WORK/report") in 2??) ;; *) log "report not taken" ;; esac
}

# One look; `soon` tells whether an operation runs on the bay. Never called in a condition, where `set -e` is off.
look() {
    soon=false
    etag=$(jq -r .etag "$STATE/wanted.json" 2>/dev/null) || etag=none
    status=$(as_node GET "$JB_API_URL/nodes/self" /dev/null -H "If-None-Match: $etag")
    case $status in
        200)
            etag=$(tr -d '\r' <"$WORK/headers" | sed -n 's/^etag: *//Ip')
            mv "$WORK/answer" "$WORK/wanted"
            take_authorities
            if [ "$(jq -r .renew "$WORK/wanted")" = true ]; then
                ask as_node /dev/null "$PKI/ca.crt"
                case $status in 2??) ;; *) die "no answer to the renewal ($status): $(complaint)" ;; esac
            fi
            settle
            [ ! -e "$CONF/take-credential" ] || (. "$CONF/take-credential") || etag=none
            # Only now, so that a run that was cut short does all of it again.
            jq --arg etag "$etag" '. + {etag: $etag}' "$WORK/wanted" >"$WORK/met"
            mv -f "$WORK/met" "$STATE/wanted.json"
            ;;
        304) ;;
        *) log "no wishes ($status): $(complaint)" && return 0 ;;
    esac
    report "$(jq -r '.revision // ""' "$STATE/wanted.json")"
    soon=$(jq -r .operation_active "$STATE/wanted.json")
}

# The timer fires 3 min after the last run; up to 4 more are waited here, so that nodes of a bay do not come together.
run() {
    settle
    [ -n "${JEROBOAM_NOW:-}" ] || sleep $(($(od -An -N2 -tu2 /dev/urandom) % 240))
    for _ in $(seq 20); do look; [ "$soon" = true ] || break; sleep 15; done
}

case ${1:-} in first-certificate) first_certificate ;; run) run ;; *) die "usage: node-agent first-certificate | run" ;; esac
