#!/bin/sh
# The last part. It looks at the node itself, since parts before it may have failed without stopping cloud-init, and
# tells Heat SUCCESS or FAILURE with the reason.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh

check() (
    begin check
    for unit in $JB_UNITS; do
        wait_for 120 "$unit to be active" systemctl is-active "$unit"
    done
    # The driver's own look: does what runs here also answer?
    sh /etc/jeroboam/check-node || fail "$(cat "$JB_STATE/check-error" 2>/dev/null || echo 'the node check failed')"
)

check || true
if [ -e "$JB_STATE/failed" ]; then
    status=FAILURE
    reason=$(head -c 400 "$JB_STATE/failed" | tr '\n' ' ' | tr -cd 'A-Za-z0-9 ._:/=,()-')
else
    status=SUCCESS
    reason="node is ready"
    [ "$JB_TLS" != true ] || start_unit jeroboam-agent.timer >/dev/null 2>&1 || true
fi
printf '{"status": "%s", "reason": "%s: %s", "id": "%s"}\n' "$status" "$JB_NODE_NAME" "$reason" "$JB_NODE_NAME" \
    >"$JB_STATE/signal.json"

# The command is Heat's own (curl_cli of the wait handle) and ends with the URL.
signal() {
    sh -c "$(cat /etc/jeroboam/signal-command) -s -S -f -o /dev/null --max-time 30 --data-binary @$JB_STATE/signal.json"
}
tries=0
until signal; do
    tries=$((tries + 1))
    if [ "$tries" -ge 30 ]; then
        echo "Heat could not be told that this node is $status" >&2
        exit 1
    fi
    sleep 10
done
rm -f /etc/jeroboam/signal-command
[ "$status" = SUCCESS ]
