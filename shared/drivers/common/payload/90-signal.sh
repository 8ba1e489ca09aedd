#!/bin/sh
# The last part. It looks at the node itself, since parts before it may have failed without stopping what runs them, and
# tells Heat SUCCESS or FAILURE with the reason. After a failure it has nothing to wait for.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh

check() (
    begin check
    for unit in $JB_UNITS; do
        wait_for 120 "$unit to be active" systemctl is-active "$unit"
    done
    # The driver's own look: does what runs here also answer?
    sh /etc/jeroboam/check-node || fail "$(cat "$JB_STATE/check-error" 2>/dev/null || echo 'the node check failed')"
    if [ "$JB_TLS" = true ]; then
        # Others may wait for a master: its first report does not wait for its turn among all the nodes.
        [ "$JB_ROLE" != master ] || [ -e "$JB_STATE/wanted.json" ] ||
            echo '{"operation_active": true}' >"$JB_STATE/wanted.json"
        start_unit jeroboam-agent.timer
    fi
)

[ -s /etc/jeroboam/signal-command ] || exit 0 # told already
check || true
if [ -e "$JB_STATE/failed" ]; then
    status=FAILURE
    reason=$(tr '\n\t' '  ' <"$JB_STATE/failed" | tr -cd 'A-Za-z0-9 ._:/=,()@+-' | head -c 400)
else
    status=SUCCESS
    reason="node is ready"
fi
printf '{"status": "%s", "reason": "%s: %s", "id": "%s"}\n' "$status" "$JB_NODE_NAME" "$reason" "$JB_NODE_NAME" \
    >"$JB_STATE/signal.json"

# The command is Heat's own (curl_cli of the wait handle) and ends with the URL. Like the node agent, we ask directly
# first, then through the bay's proxy.
signal() {
    sh -c "$(cat /etc/jeroboam/signal-command) $* -s -S -f -o /dev/null --max-time 30 \
--data-binary @$JB_STATE/signal.json"
}
through_proxy() (
    [ -s /etc/jeroboam/proxy.env ] && use_proxy && signal
)
tries=0
until signal --noproxy "'*'" || through_proxy; do
    tries=$((tries + 1))
    if [ "$tries" -ge 30 ]; then
        echo "Heat could not be told that this node is $status" >&2
        exit 1
    fi
    sleep 10
done
rm -f /etc/jeroboam/signal-command
[ "$status" = SUCCESS ]
