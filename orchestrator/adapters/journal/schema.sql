-- The journal: facts of runs, appended and never rewritten.
-- One script, one transaction: the schema is there whole or not at all, and a second process that comes along at the
-- same moment finds everything in place. user_version is the schema's version.
BEGIN IMMEDIATE;

CREATE TABLE IF NOT EXISTS facts (
    run TEXT NOT NULL,
    number INTEGER NOT NULL,      -- from 1, without gaps
    at REAL NOT NULL,             -- UTC, seconds since 1970
    elapsed_s REAL NOT NULL,      -- monotonic within the process that appended it
    body TEXT NOT NULL,           -- JSON: domain/fact_codec.py
    PRIMARY KEY (run, number)
);

-- What `orch runs` shows, so that it need not read whole plans. Written with the fact that says the same.
CREATE TABLE IF NOT EXISTS runs (
    position INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE,
    plan TEXT NOT NULL,
    action TEXT NOT NULL,
    requester TEXT NOT NULL,
    began_at REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS endings (
    run TEXT NOT NULL PRIMARY KEY,
    ended_at REAL NOT NULL,
    verdict TEXT NOT NULL,
    counts TEXT NOT NULL          -- JSON: outcome -> how many
);

CREATE TRIGGER IF NOT EXISTS facts_are_never_changed BEFORE UPDATE ON facts
BEGIN SELECT RAISE(ABORT, 'facts are never changed'); END;
CREATE TRIGGER IF NOT EXISTS facts_are_never_removed BEFORE DELETE ON facts
BEGIN SELECT RAISE(ABORT, 'facts are never removed'); END;

PRAGMA application_id = 1869767528; -- 'orch' in ASCII
PRAGMA user_version = 1;
COMMIT;
