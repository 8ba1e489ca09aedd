#!/bin/sh
# The control plane, and what the bay shares.
exec sh /etc/jeroboam/start-master
