-- Frozen: a later change is a later migration.

CREATE TABLE attestations (
    id UUID NOT NULL,
    bay_id UUID NOT NULL,
    server_id TEXT NOT NULL,
    role TEXT NOT NULL,
    digest TEXT NOT NULL,
    csr TEXT NOT NULL,
    csr_digest TEXT NOT NULL,
    secret BYTEA,
    serial TEXT,
    state TEXT DEFAULT 'pending' NOT NULL,
    proven BOOLEAN DEFAULT false NOT NULL,
    reason TEXT,
    node_name TEXT,
    shared TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT attestations_role CHECK (role IN ('master', 'worker')),
    CONSTRAINT attestations_state CHECK (state IN ('pending', 'attested', 'refused', 'expired')),
    FOREIGN KEY(bay_id) REFERENCES bays (id) ON DELETE CASCADE
);
CREATE INDEX attestations_by_server ON attestations (bay_id, server_id);
CREATE INDEX attestations_unfinished ON attestations (created_at)
    WHERE state = 'pending' OR (state = 'attested' AND finished_at IS NULL);
CREATE INDEX attestations_over ON attestations (created_at) WHERE state IN ('refused', 'expired');

ALTER TABLE sign_requests
    ADD COLUMN attestation_id UUID,
    ADD FOREIGN KEY (attestation_id) REFERENCES attestations (id) ON DELETE CASCADE;
CREATE INDEX sign_requests_by_attestation ON sign_requests (attestation_id) WHERE attestation_id IS NOT NULL;

CREATE TABLE node_reports (
    bay_id UUID NOT NULL,
    server_id TEXT NOT NULL,
    healthy BOOLEAN NOT NULL,
    revision TEXT NOT NULL,
    units JSONB DEFAULT '{}' NOT NULL,
    reported_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (bay_id, server_id),
    FOREIGN KEY(bay_id) REFERENCES bays (id) ON DELETE CASCADE
);
