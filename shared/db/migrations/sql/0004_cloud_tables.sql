-- Frozen: a later change is a later migration.

-- A bay's newest cloud credential, encrypted to the certificate of each of its nodes.
CREATE TABLE node_credentials (
    bay_id UUID NOT NULL,
    server_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    serial TEXT NOT NULL,
    sealed TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (bay_id, server_id),
    FOREIGN KEY(bay_id) REFERENCES bays (id) ON DELETE CASCADE
);

-- For a node's newest certificate, of which a long-lived bay has many.
CREATE INDEX certificates_by_requester ON certificates (bay_id, requester, created_at);

-- Which generation of the credential a node uses, as it says; null: it never said.
ALTER TABLE node_reports ADD COLUMN credential_generation INTEGER;

-- How the stack looked when our last operation left it ("STATUS updated_at"); what differs is somebody else's doing.
ALTER TABLE bays ADD COLUMN stack_seen TEXT;

-- An administrator forced the deletion: what stands in its way is recorded and passed over.
ALTER TABLE bays ADD COLUMN forced BOOLEAN DEFAULT false NOT NULL;

-- A key is either sealed here or lies in Barbican, under this address.
ALTER TABLE authority_keys
    ALTER COLUMN wrapped_key DROP NOT NULL,
    ALTER COLUMN sealed DROP NOT NULL,
    ADD COLUMN secret_ref TEXT,
    ADD CONSTRAINT authority_keys_one_place CHECK (
        (secret_ref IS NULL AND wrapped_key IS NOT NULL AND sealed IS NOT NULL)
        OR (secret_ref IS NOT NULL AND wrapped_key IS NULL AND sealed IS NULL)
    );
