#!/bin/sh
# Swarm mode: the first manager begins; every other node asks a manager for the token of its role, and joins.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
# shellcheck source=/dev/null
. /etc/jeroboam/docker-api
begin swarm

state() { docker info --format '{{.Swarm.LocalNodeState}}'; }

begin_swarm() {
    # Docker would take its networks from 10.0.0.0/8, where the nodes are; versions before 18.09 cannot be told.
    pool=
    ! docker swarm init --help | grep -q -e --default-addr-pool || pool="--default-addr-pool $JB_DOCKER_POOL"
    # shellcheck disable=SC2086  # options that may be none
    docker swarm init --advertise-addr "$JB_PRIVATE_ADDRESS" $pool >/dev/null || fail "the swarm could not be begun"
}

# A manager that is in the swarm tells the tokens. None of them goes onto a command line, where other users could read it.
ask_for_token() {
    for address in $(echo "$JB_MASTER_ADDRESSES" | tr ',' ' '); do
        [ "$address" != "$JB_PRIVATE_ADDRESS" ] || continue
        manager=$(address_in_url "$address")
        if docker_api "$manager:2375" /swarm >"$JB_STATE/swarm.json"; then
            jq --arg role "$JB_ROLE" --arg manager "$manager:2377" --arg own "$JB_PRIVATE_ADDRESS" \
                '{ListenAddr: "0.0.0.0:2377", AdvertiseAddr: $own, RemoteAddrs: [$manager],
                  JoinToken: (if $role == "master" then .JoinTokens.Manager else .JoinTokens.Worker end)}' \
                "$JB_STATE/swarm.json" >"$JB_STATE/join.json" && return 0
        fi
    done
    return 1
}

join_swarm() (
    umask 077
    ask_for_token || exit 1
    curl -sS -f --max-time 60 --unix-socket /var/run/docker.sock -H 'Content-Type: application/json' \
        --data-binary "@$JB_STATE/join.json" http://docker/swarm/join
)

joined() { [ "$(state)" = active ] || join_swarm; }

if [ "$(state)" != active ]; then
    if [ "$JB_ROLE" = master ] && [ "$JB_NODE_INDEX" = 0 ]; then
        begin_swarm
    else
        wait_for "$JB_WAIT_SECONDS" "a manager to let this node join the swarm" joined
    fi
fi
rm -f "$JB_STATE/swarm.json" "$JB_STATE/join.json"
