-- Who may do what with what is new.

GRANT UPDATE (health_status, health_status_reason) ON bays TO jb_api, jb_scaler;

GRANT SELECT ON nodegroups TO jb_api, jb_provisioner, jb_certs, jb_scaler;
GRANT INSERT, UPDATE, DELETE ON nodegroups TO jb_api;

GRANT SELECT, INSERT, UPDATE, DELETE ON quotas TO jb_api;
GRANT SELECT ON quotas TO jb_provisioner;

-- Each process says that it lives; the gateway shows it.
GRANT SELECT ON services TO jb_api;
GRANT SELECT, INSERT ON services TO jb_provisioner, jb_certs, jb_scaler;
GRANT UPDATE (report_count, last_seen_up, updated_at) ON services TO jb_provisioner, jb_certs, jb_scaler;
