#!/bin/sh
# volume-driver rexray: Docker's plugin for Cinder volumes. It logs in at the stand-in for Keystone on the loopback.
# shellcheck source=/dev/null
. /etc/jeroboam/lib.sh
begin rexray

fetch() {
    curl -sS -f -L --retry 5 --max-time 300 -o "$JB_STATE/rexray.tar.gz" "$JB_REXRAY_URL"
}

if ! command -v rexray >/dev/null; then
    use_proxy
    fetch || fail "REX-Ray could not be fetched from $JB_REXRAY_URL"
    tar -xzf "$JB_STATE/rexray.tar.gz" -C /usr/local/bin rexray || fail "$JB_REXRAY_URL holds no rexray"
    chmod 0755 /usr/local/bin/rexray
    rm -f "$JB_STATE/rexray.tar.gz"
fi

# Known to this node only, and good for nothing but its own loopback.
[ -s "$JB_STATE/rexray-password" ] ||
    head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' | write_file "$JB_STATE/rexray-password" 0600 root

write_file /etc/rexray/config.yml 0600 root <<CONF
libstorage:
  service: cinder
  integration:
    volume:
      operations:
        mount:
          preempt: $JB_REXRAY_PREEMPT
cinder:
  authURL: http://127.0.0.1:35357/v3
  userName: node
  password: $(cat "$JB_STATE/rexray-password")
  domainName: node
  tenantID: $JB_PROJECT_ID
  regionName: "$JB_REGION"
CONF

write_file /etc/systemd/system/rexray.service 0644 root <<UNIT
[Unit]
Description=REX-Ray: Cinder volumes for containers
Requires=jeroboam-keystone.socket
After=network-online.target jeroboam-keystone.socket
Before=docker.service

[Service]
ExecStart=$(command -v rexray) start -f
Restart=on-failure
RestartSec=10

[Install]
WantedBy=multi-user.target
UNIT

systemctl daemon-reload
start_unit jeroboam-keystone.socket
start_unit rexray
