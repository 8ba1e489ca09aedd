-- Frozen: a later change is a later migration.

-- A bay trusts its authorities that are not retired; and when somebody was told that one ends soon.
ALTER TABLE authorities
    ADD COLUMN retired_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN warned_at TIMESTAMP WITH TIME ZONE;

-- What ends soon is looked for every hour.
CREATE INDEX authorities_ending ON authorities (not_after) WHERE retired_at IS NULL;
CREATE INDEX certificates_of_nodes_ending ON certificates (not_after) WHERE state = 'issued' AND profile = 'node:node';

-- A rotation that is not over: from generation "previous" to "generation"; "target" is the one that shall remain.
CREATE TABLE authority_rotations (
    bay_id UUID NOT NULL,
    generation INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    target INTEGER NOT NULL,
    phase TEXT NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (bay_id),
    FOREIGN KEY(bay_id) REFERENCES bays (id) ON DELETE CASCADE,
    CONSTRAINT authority_rotations_phase CHECK (phase IN ('trust', 'reissue', 'drop')),
    CONSTRAINT authority_rotations_target CHECK (target IN (generation, previous))
);

-- How far a node may go in it.
CREATE TABLE rotation_turns (
    bay_id UUID NOT NULL,
    server_id TEXT NOT NULL,
    phase TEXT NOT NULL,
    target INTEGER NOT NULL,
    given_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (bay_id, server_id),
    FOREIGN KEY(bay_id) REFERENCES bays (id) ON DELETE CASCADE,
    CONSTRAINT rotation_turns_phase CHECK (phase IN ('trust', 'reissue', 'drop'))
);

-- Of which generation the certificate is that a node proved itself with, and why it did not do what is wanted of it.
ALTER TABLE node_reports
    ADD COLUMN authority_generation INTEGER,
    ADD COLUMN problem TEXT;

-- How long a certificate is wanted for; null: as long as the settings say.
ALTER TABLE sign_requests ADD COLUMN validity_seconds INTEGER;

-- What was decided a day ago is removed; its certificate stays.
CREATE INDEX sign_requests_decided ON sign_requests (created_at) WHERE state <> 'pending' AND attestation_id IS NULL;

-- Refused CSRs are told in one line for many, also of bays that there are not.
ALTER TABLE certificate_audit
    ALTER COLUMN bay_id DROP NOT NULL,
    ADD COLUMN times INTEGER DEFAULT 1 NOT NULL;
