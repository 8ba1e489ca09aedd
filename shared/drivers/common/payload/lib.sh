# shellcheck shell=sh
# Sourced by every numbered part of a node's user-data. A part calls begin, then does its work under `set -eu`.
# All parts run even when one fails, so the first failure is written down here: later parts then do nothing, and the
# last part tells Heat the reason.

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

# The last line of the log is what the part said before it ended; a command that failed in silence leaves its code.
ended() {
    [ "$1" -eq 0 ] && return 0
    if [ ! -e "$JB_STATE/failed" ]; then
        jb_last=$(tail -n 1 "$JB_STATE/$JB_PART.log")
        printf '%s: %s\n' "$JB_PART" "${jb_last:-ended with code $1}" >"$JB_STATE/failed"
    fi
}

fail() {
    echo "$*" >&2
    exit 1
}

# wait_for SECONDS WHAT COMMAND...: repeat the command until it succeeds. Waits of a first boot end before Heat gives the
# node up, which counts from the boot and not from each wait, so that the reason can still be told. JB_PATIENCE is the
# most that the node agent waits.
wait_for() {
    jb_now=$(date +%s)
    jb_until=$((jb_now + ($1 < ${JB_PATIENCE:-$1} ? $1 : ${JB_PATIENCE:-$1})))
    jb_end=$(($(date -r /etc/jeroboam/bay.env +%s) + JB_WAIT_SECONDS))
    if [ "$jb_now" -lt "$jb_end" ] && [ "$jb_until" -gt "$jb_end" ]; then jb_until=$jb_end; fi
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
    systemctl restart "$1" || fail "$1 did not start: $(journalctl "_SYSTEMD_UNIT=${1%.service}.service" -n 1 -o cat 2>/dev/null || true)"
}

# restart_alone UNIT: if it runs. What requires it goes on, which a plain restart would restart as well. A start that is
# still to come would be called off.
restart_alone() {
    case $(systemctl is-active "$1") in inactive | failed | unknown | deactivating) return 0 ;; esac
    timeout 120 systemctl --job-mode=ignore-dependencies try-restart "$1" || echo "$1 did not restart" >&2
}

# use_proxy: from here on the part's own downloads go through the bay's proxy, if it has one.
use_proxy() {
    [ -s /etc/jeroboam/proxy.env ] || return 0
    set -a
    # shellcheck source=/dev/null
    . /etc/jeroboam/proxy.env
    set +a
}

# install_packages NAME...: from the image's own sources, with the tool of its family.
install_packages() (
    use_proxy
    if command -v apt-get >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        apt_get() { apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"; }
        # Another apt may hold the lists at a first boot, and a mirror may stumble.
        for jb_pause in 5 15 30 60 0; do
            if apt_get update && apt_get install --no-install-recommends "$@"; then return 0; fi
            sleep "$jb_pause"
        done
        fail "these packages could not be installed: $*"
    elif command -v dnf >/dev/null; then
        dnf install -y "$@" || fail "these packages could not be installed: $*"
    else
        fail "the image has no package tool, and lacks: $*"
    fi
)

# address_in_url ADDRESS: an IPv6 address stands in brackets.
address_in_url() {
    case $1 in *:*) printf '[%s]' "$1" ;; *) printf '%s' "$1" ;; esac
}

# master_urls SCHEME PORT: scheme://address:port of every master, with commas.
master_urls() {
    jb_list=
    for jb_address in $(echo "$JB_MASTER_ADDRESSES" | tr ',' ' '); do
        jb_list="$jb_list,$1://$(address_in_url "$jb_address"):$2"
    done
    echo "${jb_list#,}"
}

# etcd_initial_cluster: name=url of every master's peer address. The i-th address is that of the i-th master.
etcd_initial_cluster() {
    jb_scheme=http
    [ "$JB_TLS" != true ] || jb_scheme=https
    jb_index=0
    jb_list=
    for jb_address in $(echo "$JB_MASTER_ADDRESSES" | tr ',' ' '); do
        jb_list="$jb_list,$JB_NODE_NAME_PREFIX-master-$jb_index=$jb_scheme://$(address_in_url "$jb_address"):2380"
        jb_index=$((jb_index + 1))
    done
    echo "${jb_list#,}"
}

# volume_device ID: the disk that is the Cinder volume. Hypervisors show the first 20 letters of its id, or all of it, in
# the disk's serial.
volume_device() {
    for jb_device in /dev/disk/by-id/*"$(printf %.20s "$1")"*; do
        case $jb_device in *-part[0-9]*) continue ;; esac
        if [ -b "$jb_device" ]; then
            readlink -f "$jb_device"
            return 0
        fi
    done
    return 1
}

# unnamed_disk DEVICE: whether it is a disk that shows no serial and that nobody uses.
unnamed_disk() {
    [ -n "$1" ] && [ -b "$1" ] && [ -z "$(cat "/sys/block/${1##*/}/serial" 2>/dev/null || true)" ] &&
        ! grep -q "^$1" /proc/mounts /proc/swaps
}

# find_volume ID FALLBACK: the volume's disk, once it is attached. Where the hypervisor shows no serials it is the device
# that Heat asked for. That is believed last, since volumes are attached in any order, and flavors may bring disks.
find_volume() {
    jb_attached=$(($(date +%s) + 300))
    until volume_device "$1"; do
        if [ "$(date +%s)" -ge "$jb_attached" ]; then
            unnamed_disk "${2:-}" || fail "waited in vain for volume $1 to be attached"
            readlink -f "$2"
            return 0
        fi
        sleep 2
    done
}

# needs_mount UNIT PATH: after a reboot the unit waits for the volume there, instead of writing below it.
needs_mount() {
    printf '[Unit]\nRequiresMountsFor=%s\n' "$2" |
        write_file "/etc/systemd/system/$1.service.d/jeroboam-storage.conf" 0644 root
    systemctl daemon-reload
}
