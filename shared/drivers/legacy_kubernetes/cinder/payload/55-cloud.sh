#!/bin/sh
# volume-driver cinder: Kubernetes' OpenStack provider, without any user's password. It signs in at a door on this
# node's loopback, and the door signs in at Keystone with the bay's own restricted application credential.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin cloud

# Good for this node's door only.
word=$JB_STATE/door-word
[ -s "$word" ] || od -An -N 32 -t x1 /dev/urandom | tr -d ' \n' | write_file "$word" 0600 root

write_file /etc/kubernetes/cloud-config 0600 "$(owner_or_root kube)" <<CONF
[Global]
auth-url=http://127.0.0.1:$JB_DOOR_PORT/v3/
user-id=jeroboam
password=$(cat "$word")
region=$JB_REGION
CONF

# The authorities that the host trusts, as one file for the pods.
for bundle in /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem /etc/ssl/certs/ca-certificates.crt; do
    if [ -s "$bundle" ]; then
        write_file /etc/kubernetes/trust/ca-certificates.crt 0644 root <"$bundle"
        break
    fi
done
mkdir -p /etc/kubernetes/trust

write_file /etc/systemd/system/jeroboam-door.socket 0644 root <<UNIT
[Unit]
Description=Where Kubernetes on this node signs in to the cloud

[Socket]
ListenStream=127.0.0.1:$JB_DOOR_PORT
Accept=yes
MaxConnections=64

[Install]
WantedBy=sockets.target
UNIT
systemctl daemon-reload
start_unit jeroboam-door.socket

sign_in() {
    jq -R '{auth: {identity: {password: {user: {password: .}}}}}' "$word" |
        curl -s --noproxy '*' --max-time 70 -o "$JB_STATE/door-answer" -w '%{http_code}' --data-binary @- \
            "http://127.0.0.1:$JB_DOOR_PORT/v3/auth/tokens" | grep -q -x 201
}
tries=0
until sign_in; do
    tries=$((tries + 1))
    [ "$tries" -lt 10 ] ||
        fail "the cloud refuses this bay's credential: $(jq -r '.error.message' "$JB_STATE/door-answer" 2>/dev/null)"
    sleep 6
done
rm -f "$JB_STATE/door-answer"
