# shellcheck shell=sh
# Another credential of the cloud waits for this node, encrypted to its key. Sourced by the node agent, in a shell of its
# own, on nodes that were born with one. The driver's install-credential, if it has one, brings it to those who do not
# read /etc/jeroboam/cloud-credential at each use. Marked as taken only then; a run that was cut short does it all again.

generation=$(jq -r '.credential_generation // 0' "$WORK/wanted")
taken=$(grep -sx '[1-9][0-9]*' "$STATE/credential") || taken=0 # a file that a crash left empty is none
[ "$generation" -gt "$taken" ] || exit 0

status=$(as_node GET "$JB_API_URL/nodes/self/credential" /dev/null)
[ "$status" = 200 ] || die "no cloud credential ($status): $(complaint)"
jq -r .sealed "$WORK/answer" >"$WORK/sealed"
open_sealed "$PKI" || die "the cloud credential cannot be opened with this node's key"
# A text for each, or nothing of it is taken.
jq -r '[.id, .secret] | map(strings) | select(length == 2) | map(@sh) |
    "JB_APPLICATION_CREDENTIAL_ID=\(.[0])\nJB_APPLICATION_CREDENTIAL_SECRET=\(.[1])"' \
    "$WORK/opened" >"$CONF/cloud-credential.new" 2>/dev/null || true
[ -s "$CONF/cloud-credential.new" ] || die "what waits for this node is no cloud credential"
sync
mv -f "$CONF/cloud-credential.new" "$CONF/cloud-credential" || die "the cloud credential could not be written"

if [ -e "$CONF/install-credential" ]; then
    sh "$CONF/install-credential" || die "the cloud credential could not be installed"
fi
jq -r .generation "$WORK/opened" >"$WORK/generation" && sync && mv -f "$WORK/generation" "$STATE/credential"
