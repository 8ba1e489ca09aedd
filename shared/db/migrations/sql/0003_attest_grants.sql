-- Who may do what with what is new. The gateway asks and never decides; only the provisioner opens a node's secret.

GRANT INSERT (id, bay_id, server_id, role, digest, csr, csr_digest, secret, serial, expires_at) ON attestations TO jb_api;
GRANT SELECT (id, bay_id, server_id, role, digest, csr, csr_digest, serial, state, proven, reason, node_name, shared,
              created_at, expires_at, finished_at) ON attestations TO jb_api, jb_certs;
GRANT SELECT, DELETE ON attestations TO jb_provisioner;
GRANT UPDATE (state, proven, reason, node_name, secret) ON attestations TO jb_provisioner;
GRANT UPDATE (state, reason, shared, finished_at) ON attestations TO jb_certs;

-- Every refusal is a line of the audit trail, whoever refused.
GRANT INSERT ON certificate_audit TO jb_api, jb_provisioner;

GRANT SELECT, INSERT, UPDATE ON node_reports TO jb_api;
GRANT SELECT ON node_reports TO jb_scaler;
