# shellcheck shell=sh
# Sourced by every numbered part of a node's user-data. A part calls begin, then does its work under `set -eu`.
# cloud-init runs all parts even when one fails, so the first failure is written down here: later parts then do
# nothing, and the last part tells Heat the reason.

set -eu
umask 022
# shellcheck source=/dev/null
. /etc/jeroboam/bay.env

JB_STATE=/var/lib/jeroboam
mkdir -p "$JB_STATE"
chmod 0700 "$JB_STATE"

# begin NAME: the part's output goes to its own log, and an early end is recorded.
begin() {
    JB_PART=$1
    if [ -e "$JB_STATE/failed" ]; then
        exit 0
    fi
    exec >>"$JB_STATE/$JB_PART.log" 2>&1
    trap 'ended $?' EXIT
}

ended() {
    [ "$1" -eq 0 ] && return 0
    if [ ! -e "$JB_STATE/failed" ]; then
        printf '%s: %s\n' "$JB_PART" "$(tail -n 1 "$JB_STATE/$JB_PART.log")" >"$JB_STATE/failed"
    fi
}

fail() {
    echo "$*" >&2
    exit 1
}

# wait_for SECONDS WHAT COMMAND...: repeat the command until it succeeds.
wait_for() {
    jb_until=$(($(date +%s) + $1))
    jb_what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$jb_until" ] || fail "waited in vain for $jb_what"
        sleep 2
    done
}

# owner_or_root USER: images differ in the system users that they have.
owner_or_root() {
    if id -u "$1" >/dev/null 2>&1; then echo "$1"; else echo root; fi
}

# write_file PATH MODE OWNER: standard input becomes the file, at once and never readable by more than MODE allows.
write_file() {
    mkdir -p "$(dirname "$1")"
    jb_tmp=$(mktemp "$1.XXXXXX")
    cat >"$jb_tmp"
    chown "$3" "$jb_tmp"
    chmod "$2" "$jb_tmp"
    mv -f "$jb_tmp" "$1"
}

# start_unit NAME: enabled for the next boot and running now with the configuration that was just written.
start_unit() {
    systemctl enable "$1"
    systemctl restart "$1" || fail "$1 did not start"
}
