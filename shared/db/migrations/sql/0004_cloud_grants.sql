-- Who may do what with what is new. The provisioner encrypts, the gateway hands out what only the node can open.

GRANT SELECT, INSERT, UPDATE, DELETE ON node_credentials TO jb_provisioner;
GRANT SELECT ON node_credentials TO jb_api;
GRANT SELECT ON node_reports TO jb_provisioner;
GRANT SELECT (bay_id, serial, profile, requester, state, pem, not_after, created_at) ON certificates TO jb_provisioner;
GRANT UPDATE (stack_seen, health_status, health_status_reason) ON bays TO jb_provisioner;
GRANT UPDATE (forced) ON bays TO jb_api;
-- An intent for which Keystone surely made nothing.
GRANT DELETE ON cloud_credentials TO jb_api;

-- For `jeroboam doctor`, which is asked with a service's settings: of which release the database is.
GRANT SELECT ON alembic_version TO jb_api, jb_provisioner, jb_certs, jb_scaler;
