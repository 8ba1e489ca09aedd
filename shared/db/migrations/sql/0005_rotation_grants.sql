-- Who may do what with what is new. The authority leads a rotation, the gateway undoes it and tells nodes their turn.

GRANT SELECT, INSERT, UPDATE, DELETE ON authority_rotations, rotation_turns TO jb_certs;
GRANT SELECT, UPDATE (target) ON authority_rotations TO jb_api;
GRANT SELECT ON rotation_turns TO jb_api;
GRANT UPDATE (deadline) ON operations TO jb_api;
GRANT SELECT ON authority_rotations TO jb_provisioner;
GRANT SELECT ON node_reports TO jb_certs;

-- What ends soon is said of a bay's health.
GRANT UPDATE (health_status, health_status_reason) ON bays TO jb_certs;
