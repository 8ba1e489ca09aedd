#!/bin/sh
# The image brings docker only, and /usr cannot be written to. etcd, flannel and Kubernetes come out of container images
# into /opt/bin, so that a closed network needs a registry and nothing else.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin programs

pull() {
    for pause in 5 10 20 40 0; do
        docker pull "$1" >/dev/null 2>"$JB_STATE/pull-error" && return 0
        sleep "$pause"
    done
    fail "image $1 could not be pulled: $(tail -n 1 "$JB_STATE/pull-error")"
}

# take NAME IMAGE PATH...: the first of the paths that the image has.
take() {
    program=/opt/bin/$1
    image=$2
    shift 2
    [ ! -x "$program" ] || return 0
    docker image inspect "$image" >/dev/null 2>&1 || pull "$image"
    container=$(docker create "$image" /none)
    found=
    for path in "$@"; do
        if docker cp "$container:$path" "$program.new" 2>/dev/null; then
            found=$path
            break
        fi
    done
    docker rm "$container" >/dev/null
    [ -n "$found" ] || fail "image $image has none of: $*"
    chown root:root "$program.new"
    chmod 0755 "$program.new"
    mv -f "$program.new" "$program"
}

mkdir -p /opt/bin
start_unit docker
take flanneld "$JB_FLANNEL_IMAGE" /opt/bin/flanneld /usr/bin/flanneld
take mk-docker-opts.sh "$JB_FLANNEL_IMAGE" /opt/bin/mk-docker-opts.sh /usr/bin/mk-docker-opts.sh
take hyperkube "$JB_HYPERKUBE_IMAGE" /hyperkube
[ "$JB_ROLE" != master ] || take etcd "$JB_ETCD_IMAGE" /usr/local/bin/etcd /etcd
