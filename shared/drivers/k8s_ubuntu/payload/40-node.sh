#!/bin/sh
# The node: containerd and kubelet.
exec sh /etc/jeroboam/prepare-node
