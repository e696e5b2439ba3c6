-- name: lease_of
SELECT epoch, owner, since, renewed_at, standing FROM leases WHERE run = :run;

-- name: known
SELECT EXISTS (SELECT 1 FROM leases WHERE run = :run) OR EXISTS (SELECT 1 FROM facts WHERE run = :run);

-- name: unbegun
SELECT run, epoch, owner, since, renewed_at, standing FROM leases
WHERE NOT EXISTS (SELECT 1 FROM facts WHERE facts.run = leases.run);

-- name: forget
DELETE FROM leases WHERE run = :run;

-- name: in_the_way
SELECT locks.run, unit FROM locks JOIN leases USING (run)
WHERE unit IN (SELECT value FROM json_each(:units)) ORDER BY position, unit;

-- name: waiting
SELECT decision FROM questions WHERE run = :run AND closed = '' AND answer IS NULL ORDER BY decision;

-- name: add_lease
INSERT INTO leases (run, epoch, owner, since, renewed_at, standing) VALUES (:run, 1, :owner, :now, :now, 'held');

-- name: add_lock
INSERT INTO locks (unit, run) VALUES (:unit, :run);

-- name: take_over
UPDATE leases SET epoch = epoch + 1, owner = :owner, since = :now, renewed_at = :now, standing = 'held'
WHERE run = :run;

-- name: renew
UPDATE leases SET renewed_at = :now WHERE run = :run;

-- name: park
UPDATE leases SET standing = 'parked' WHERE run = :run AND standing = 'held';

-- name: release
UPDATE leases SET standing = 'released' WHERE run = :run;

-- name: free
DELETE FROM locks WHERE run = :run;

-- name: holders
SELECT run, epoch, owner, since, renewed_at, standing,
    EXISTS (SELECT 1 FROM facts WHERE facts.run = leases.run),
    (SELECT json_group_array(unit) FROM (SELECT unit FROM locks WHERE locks.run = leases.run ORDER BY unit))
FROM leases WHERE standing <> 'released' ORDER BY position;
