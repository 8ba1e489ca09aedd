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
. "$CONF/node-pki"
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

# Whether there is something that the services do not use yet.
unsettled() { [ "$(readlink "$PKI/current")" != "$(cat "$STATE/installed" 2>/dev/null)" ]; }

# Puts what is current in its places and restarts what runs and reads it only at its start. Once for every set: a node
# that does not get well is looked at again and again, and its services are restarted no more.
install() {
    [ "$(readlink "$PKI/current")" != "$(cat "$STATE/restarted" 2>/dev/null)" ] || return 0
    sh "$CONF/install-certificates" || die "the certificates could not be installed"
    sync
    for unit in $JB_RESTART_UNITS; do
        # One whose start is still to come will read the new files, and a try-restart would call that start off.
        case $(systemctl is-active "$unit") in inactive | failed | unknown | deactivating) continue ;; esac
        timeout 180 systemctl try-restart "$unit" || log "$unit did not restart"
    done
    readlink "$PKI/current" >"$STATE/restarted"
}

# What is current is in use, and this node is well with it: then only it counts as installed, and is reported. A run
# that was cut short anywhere leaves it to the next one.
settle() {
    unsettled || return 0
    install
    # Files that a power failure left half changed have kept some from starting.
    for unit in $JB_UNITS; do
        systemctl is-active "$unit" >/dev/null || timeout 120 systemctl start "$unit" || log "$unit did not start"
    done
    rm -f "$STATE/check-error"
    JB_PATIENCE=120 timeout 300 sh "$CONF/check-node" ||
        die "with the new certificates: $(cat "$STATE/check-error" 2>/dev/null || echo "the node's check failed")"
    for unit in $JB_UNITS; do
        systemctl is-active "$unit" >/dev/null || die "with the new certificates $unit does not run"
    done
    readlink "$PKI/current" >"$STATE/installed"
}

# ask CALL SECRET_FILE: certificates for a new key; `status` tells what came of it. A refusal ends the run.
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
        2??) accept_answer ;;
        408 | 425 | 429) ;;
        4??) rm -rf "$STATE/pending" && die "certificate refused ($status): $(complaint)" ;;
    esac
}

# A server that Nova does not show yet, an API that restarts: wait.
first_certificate() {
    limit=$(($(date +%s) + JB_WAIT_SECONDS)) pause=2
    until [ -s "$PKI/node.crt" ]; do
        ask call "$CONF/node-secret"
        case $status in 2??) break ;; esac
        [ "$(date +%s)" -lt "$limit" ] || die "no certificate in $JB_WAIT_SECONDS s (last $status): $(complaint)"
        sleep "$pause"
        pause=$((pause < 30 ? pause * 2 : 30))
    done
    # The services are not there yet, and the boot's last part looks whether they become well.
    rm -f "$STATE/restarted" && install
    readlink "$PKI/current" >"$STATE/installed"
}

refused() { case $status in 408 | 425 | 429) false ;; 4??) ;; *) false ;; esac } # asking again at once would be in vain

# report PROBLEM: what this node looks like, and which revision of the wishes and which credential it has reached.
report() {
    for unit in $JB_UNITS; do echo "$unit $(systemctl is-active "$unit" 2>/dev/null)"; done |
        jq -R -s --arg revision "$(jq -r '.revision // ""' "$STATE/wanted.json" 2>/dev/null)" --arg problem "$1" \
            --argjson credential "$(grep -sx '[1-9][0-9]*' "$STATE/credential" || echo null)" \
            --arg parted "$(cat "$STATE/parted" 2>/dev/null)" '
            def text: if . == "" then null else . end;
            [split("\n")[] | select(. != "") | split(" ") | {(.[0]): .[1]}] | add // {} |
            {healthy: (all(. == "active") and $problem == ""), revision: $revision, units: ., next_within: 240,
            credential_generation: $credential, parted: ($parted | text), problem: ($problem | text)}' >"$WORK/report"
    status=$(as_node PUT "$JB_API_URL/nodes/self" "$WORK/report")
    case $status in 2??) ;; *) log "report not taken ($status)" && { refused || touch "$WORK/away" "$WORK/unheard"; } ;; esac
}

# What ended a look, in one line.
trouble() {
    { cat "$STATE/agent-error" 2>/dev/null || echo "the node agent ended early"; } |
        tr -c '[:print:]' ' ' | head -c 400 | sed 's/ *$//'
}

# One look at what is wanted of this node, and all of it done. Never called in a condition, where `set -e` is off.
look() {
    etag=$(cat "$STATE/etag" 2>/dev/null) || etag=none
    ! unsettled || etag=none
    status=$(as_node GET "$JB_API_URL/nodes/self" /dev/null -H "If-None-Match: $etag")
    case $status in
        200)
            etag=$(tr -d '\r' <"$WORK/headers" | sed -n 's/^etag: *//Ip')
            mv "$WORK/answer" "$WORK/wanted"
            rm -f "$STATE/etag" # what comes next may end half way, and then what was met before is to be told again
            renew=$(jq -r .renew "$WORK/wanted")
            take_authorities
            if [ "$renew" = true ]; then
                # Restarts may take minutes, in which this node must not seem dead. It is the last report that counts.
                report "$problem" && rm -f "$WORK/away" "$WORK/unheard"
                etag=none # the answer may be an earlier one, of an authority that is to go
                ask as_node /dev/null
                case $status in 2??) ;; *) die "no answer to the renewal ($status): $(complaint)" ;; esac
            fi
            settle
            [ ! -e "$CONF/take-credential" ] || (. "$CONF/take-credential") || etag=none
            [ ! -e "$CONF/take-masters" ] || (. "$CONF/take-masters")
            # Only now, so that a run that was cut short does all of it again.
            cp "$WORK/wanted" "$WORK/met" && mv -f "$WORK/met" "$STATE/wanted.json"
            echo "$etag" >"$STATE/etag"
            ;;
        304) ;;
        *) log "no wishes ($status): $(complaint)" && touch "$WORK/away" && { refused || touch "$WORK/unheard"; } ;;
    esac
}

# Whether an operation runs on the bay, by the first of these answers that is there: then others wait for this node.
during_operation() {
    for answer in "$@"; do
        [ -s "$answer" ] || continue
        [ "$(jq -r .operation_active "$answer" 2>/dev/null)" = true ]
        return
    done
    return 1
}

# Up to 30 s, so that the nodes of a bay do not come together; with the timer's 3 min and a run's time, what is promised.
scatter() { [ -n "${JEROBOAM_NOW:-}" ] || sleep $(($(od -An -N2 -tu2 /dev/urandom) % 30)); }

# The timer fires 3 min after the last run. While others wait for this node it looks again and again, for 15 min at most:
# the unit's own limit is 30, and a look that waits in vain for everything may take the other half.
# Each look has a shell of its own: whatever ends it is reported, and the next one tries again, as who was not heard does.
run() {
    end=$(($(date +%s) + 900))
    settle & # what a reboot cut short is not kept waiting
    wait $! || :
    during_operation "$STATE/wanted.json" || scatter
    problem=$([ ! -s "$STATE/agent-error" ] || trouble) # holds until a look is over
    while :; do
        rm -rf "$STATE/agent-error" "$WORK/away" "$WORK/unheard" "$WORK/wanted" "$WORK/set"
        look &
        if wait $!; then code=0 problem=; else code=1 problem=$(trouble); fi
        [ -e "$WORK/away" ] || report "$problem"
        [ -e "$WORK/unheard" ] || during_operation "$WORK/wanted" "$STATE/wanted.json" || break
        [ ! -e "$WORK/away" ] || scatter # all of them wait for the API
        sleep "${JEROBOAM_AGAIN:-15}"
        [ "$(date +%s)" -lt "$end" ] || break
    done
    return "$code"
}

case ${1:-} in first-certificate) first_certificate ;; run) run ;; *) die "usage: node-agent first-certificate | run" ;; esac
