-- Rows of before get their new texts (the triggers write them at any update), and bays their two default nodegroups.

UPDATE bays SET name = name;
UPDATE baymodels SET name = name;

INSERT INTO nodegroups (id, bay_id, name, role, is_default, min_node_count, created_at)
SELECT gen_random_uuid(), bays.id, groups.name, groups.role, true, groups.least, bays.created_at
FROM bays, (VALUES (1, 'default-master', 'master', 1), (2, 'default-worker', 'worker', 0)) groups (place, name, role, least)
ORDER BY bays.seq, groups.place;
