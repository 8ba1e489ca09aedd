-- Rows of before get their new texts (the triggers write them at any update), and bays their two default nodegroups.

UPDATE bays SET name = name;
UPDATE baymodels SET name = name;

INSERT INTO nodegroups (id, bay_id, name, role, is_default, min_node_count, created_at)
SELECT gen_random_uuid(), bays.id, groups.name, groups.role, true, groups.least, bays.created_at
FROM bays, (VALUES (1, 'default-master', 'master', 1), (2, 'default-worker', 'worker', 0)) groups (place, name, role, least)
ORDER BY bays.seq, groups.place;

-- A gateway of the first release knows no groups and may still make bays while it is being replaced. They get theirs at
-- the end of its transaction, without which nobody could resize them; a bay that has brought its own keeps them.
CREATE FUNCTION default_nodegroups() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO nodegroups (id, bay_id, name, role, is_default, min_node_count, created_at)
    SELECT gen_random_uuid(), bays.id, groups.name, groups.role, true, groups.least, bays.created_at
    FROM bays, (VALUES (1, 'default-master', 'master', 1), (2, 'default-worker', 'worker', 0)) groups (place, name, role, least)
    WHERE bays.id = NEW.id
    ORDER BY groups.place
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER default_nodegroups AFTER INSERT ON bays DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION default_nodegroups();
