-- name: add_snapshot
INSERT INTO snapshots (tag, at, body) VALUES (:tag, :at, :body);

-- name: snapshot
SELECT body FROM snapshots WHERE tag = :tag;

-- name: all_snapshots
SELECT body FROM snapshots ORDER BY at DESC, tag;
