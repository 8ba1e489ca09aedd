-- Who may do what (docs/architecture.md, "Who writes what"). Everything that is not granted here is refused.
-- SELECT … FOR UPDATE needs UPDATE on one column at least; a worker that locks a bay has that by its status columns.

GRANT USAGE ON SCHEMA public TO jb_api, jb_provisioner, jb_certs, jb_scaler;

-- bays and baymodels: the gateway inserts and says what is wanted; the active operation's service moves the status.
GRANT SELECT ON baymodels TO jb_api, jb_provisioner, jb_certs, jb_scaler;
GRANT INSERT, UPDATE, DELETE ON baymodels TO jb_api;
GRANT SELECT ON bays TO jb_api, jb_provisioner, jb_certs, jb_scaler;
GRANT INSERT ON bays TO jb_api;
GRANT UPDATE (status, status_reason, faults, wanted, node_count, updated_at) ON bays TO jb_api;
-- The provisioner also sets the count back when Heat has rolled an update back.
GRANT UPDATE (status, status_reason, faults, updated_at, stack_id, node_count, api_address, master_addresses,
              node_addresses, coe_version, container_version) ON bays TO jb_provisioner;
GRANT UPDATE (status, status_reason, faults, updated_at) ON bays TO jb_certs, jb_scaler;
GRANT DELETE ON bays TO jb_provisioner;
GRANT SELECT, INSERT ON bay_history TO jb_api, jb_provisioner, jb_certs, jb_scaler;

-- operations: asked for by the gateway, claimed and moved by the workers.
GRANT SELECT ON operations, operation_steps TO jb_api, jb_provisioner, jb_certs, jb_scaler;
GRANT INSERT ON operations, operation_steps TO jb_api;
GRANT UPDATE (state, finished_at, error, next_run_at) ON operations TO jb_api;
GRANT UPDATE (state, service, step, attempt, failures, surprises, next_run_at, lease_token, lease_until, memo, error,
              finished_at) ON operations TO jb_provisioner, jb_certs, jb_scaler;
GRANT UPDATE (state, attempt, note, started_at, finished_at) ON operation_steps
    TO jb_api, jb_provisioner, jb_certs, jb_scaler;

-- messages
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO jb_api, jb_provisioner, jb_certs, jb_scaler;
GRANT INSERT ON dead_letters TO jb_api, jb_provisioner, jb_certs, jb_scaler;
GRANT SELECT, UPDATE, DELETE ON dead_letters TO jb_api;

-- the cloud's side
GRANT SELECT, INSERT ON stack_renders TO jb_provisioner;
GRANT SELECT (bay_id, generation, driver, template, created_at) ON stack_renders TO jb_api, jb_certs, jb_scaler;
GRANT SELECT, INSERT, UPDATE, DELETE ON nodes TO jb_provisioner;
GRANT SELECT ON nodes TO jb_api, jb_certs, jb_scaler;
GRANT INSERT ON cloud_credentials TO jb_api;
GRANT SELECT (bay_id, generation, name, user_id, credential_id, created_at) ON cloud_credentials TO jb_api;
GRANT UPDATE (credential_id, sealed) ON cloud_credentials TO jb_api;
GRANT SELECT, UPDATE, DELETE ON cloud_credentials TO jb_provisioner;
GRANT SELECT, INSERT, DELETE ON tombstones TO jb_provisioner;

-- certificates: the keys are for one service alone.
GRANT SELECT, INSERT, UPDATE, DELETE ON authorities, authority_keys, sign_requests, certificates TO jb_certs;
GRANT SELECT, INSERT ON certificate_audit TO jb_certs;
GRANT SELECT ON authorities TO jb_api, jb_provisioner, jb_scaler;
GRANT SELECT, INSERT ON sign_requests TO jb_api;
GRANT SELECT ON certificates TO jb_api;
