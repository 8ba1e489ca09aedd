#!/bin/sh
# Kubernetes' control plane.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin kubernetes
# shellcheck source=/dev/null
. /etc/jeroboam/start-kubernetes
