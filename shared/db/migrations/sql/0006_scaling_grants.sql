-- Who may do what with what is new. The scaler asks for operations by the door that the gateway uses.

GRANT INSERT ON operations, operation_steps TO jb_scaler;
GRANT UPDATE (node_count, health_status, health_status_reason) ON bays TO jb_scaler;
GRANT UPDATE (master_count, pools_made) ON bays TO jb_api;
GRANT UPDATE (master_count, pools_made, generation, baymodel_id, spec, labels, labels_added, labels_overridden, labels_skipped)
    ON bays TO jb_provisioner;
GRANT UPDATE (node_count, updated_at) ON nodegroups TO jb_scaler;
GRANT UPDATE (node_count, image_id, labels, updated_at), DELETE ON nodegroups TO jb_provisioner;

-- The scaler's way to a client certificate is the ordinary one.
GRANT SELECT, INSERT ON sign_requests TO jb_scaler;
GRANT SELECT ON certificates, authority_rotations TO jb_scaler;

GRANT SELECT (pool) ON stack_renders TO jb_api, jb_certs, jb_scaler;
GRANT SELECT (has_shards) ON stack_renders TO jb_api;
GRANT SELECT, INSERT ON node_pools TO jb_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON node_pools TO jb_provisioner;
GRANT SELECT ON node_pools TO jb_certs, jb_scaler;

GRANT SELECT, INSERT, UPDATE, DELETE ON scaling_policies TO jb_api;
GRANT SELECT ON scaling_policies TO jb_provisioner, jb_certs, jb_scaler;
GRANT SELECT, INSERT, DELETE ON scaling_decisions TO jb_scaler;
GRANT SELECT ON scaling_decisions TO jb_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON bay_checks, drained_nodes TO jb_scaler;
GRANT SELECT, INSERT, UPDATE, DELETE ON node_health TO jb_scaler;
GRANT SELECT ON node_health, drained_nodes TO jb_api, jb_provisioner;
GRANT UPDATE (coe_health, health_held_until) ON bays TO jb_api, jb_scaler;
GRANT UPDATE (cloud_ill, coe_health) ON bays TO jb_provisioner;

-- Of a dead letter nothing may be changed but when it was sent again.
REVOKE UPDATE ON dead_letters FROM jb_api;
GRANT UPDATE (requeued_at) ON dead_letters TO jb_api;
