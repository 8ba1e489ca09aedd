#!/bin/sh
# The node's first certificates, for which it shows the secret that only its own user-data holds.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin certificates

[ "$JB_TLS" = true ] || exit 0
rm -f "$JB_STATE/agent-error"
sh /etc/jeroboam/node-agent first-certificate ||
    fail "$(cat "$JB_STATE/agent-error" 2>/dev/null || tail -n 1 "$JB_STATE/certificates.log")"
