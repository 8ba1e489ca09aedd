#!/bin/sh
# volume-driver cinder: Kubernetes' OpenStack provider with the bay's own restricted application credential. No user's
# password is on the node.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin cloud

[ "$JB_CLOUD" = true ] || exit 0
# shellcheck source=/dev/null
. /etc/jeroboam/cloud-credential
write_file /etc/kubernetes/cloud-config 0600 "$(owner_or_root kube)" <<CONF
[Global]
auth-url=$JB_KEYSTONE_URL
region=$JB_REGION
application-credential-id=$JB_APPLICATION_CREDENTIAL_ID
application-credential-secret=$JB_APPLICATION_CREDENTIAL_SECRET
CONF
