-- The state folder's one file: facts of runs, appended and never rewritten, and beside them what people and processes
-- that share the folder tell each other: who holds which units, what is asked, what was answered.
-- One script, one transaction: the schema is there whole or not at all, and a second process that comes along at the
-- same moment finds everything in place. user_version is the schema's version. JSON: domain/fact_codec.py.
BEGIN IMMEDIATE;

CREATE TABLE IF NOT EXISTS facts (
    run TEXT NOT NULL,
    number INTEGER NOT NULL,      -- from 1, without gaps
    at REAL NOT NULL,             -- UTC, seconds since 1970
    elapsed_s REAL NOT NULL,      -- monotonic within the process that appended it
    body TEXT NOT NULL,           -- JSON
    head TEXT NOT NULL,           -- of the chain up to here: domain/chain.py
    PRIMARY KEY (run, number)
);

-- What `orch runs` shows, so that it need not read whole plans. Written with the fact that says the same.
CREATE TABLE IF NOT EXISTS runs (
    position INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE,
    plan TEXT NOT NULL,
    action TEXT NOT NULL,
    requester TEXT NOT NULL,
    of TEXT NOT NULL,
    approval TEXT NOT NULL,       -- JSON: who may answer what it asks
    began_at REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS endings (
    run TEXT NOT NULL PRIMARY KEY,
    ended_at REAL NOT NULL,
    verdict TEXT NOT NULL,
    counts TEXT NOT NULL,         -- JSON: outcome -> how many
    said TEXT NOT NULL
);

-- Who may act for a run. A row stays when the run has ended, with its last epoch.
CREATE TABLE IF NOT EXISTS leases (
    position INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE,
    epoch INTEGER NOT NULL,       -- from 1; rises with every takeover
    owner TEXT NOT NULL,          -- JSON
    since REAL NOT NULL,          -- of this epoch
    renewed_at REAL NOT NULL,
    standing TEXT NOT NULL CHECK (standing IN ('held', 'parked', 'released'))
);

CREATE TABLE IF NOT EXISTS locks (
    unit TEXT NOT NULL PRIMARY KEY,
    run TEXT NOT NULL REFERENCES leases (run)
);
CREATE INDEX IF NOT EXISTS locks_of_run ON locks (run);

-- What runs ask. Written with the facts that ask and close; the answer with the vote that decides it.
CREATE TABLE IF NOT EXISTS questions (
    position INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    decision INTEGER NOT NULL,
    asked_at REAL NOT NULL,
    asked TEXT NOT NULL,          -- JSON
    answer TEXT,                  -- JSON; NULL: not yet
    answered_at REAL,
    closed TEXT NOT NULL DEFAULT '', -- why it needs no answer any more, in words
    UNIQUE (run, decision)
);

CREATE TABLE IF NOT EXISTS votes (
    position INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    decision INTEGER NOT NULL,
    at REAL NOT NULL,
    vote TEXT NOT NULL            -- JSON
);
CREATE INDEX IF NOT EXISTS votes_on_decision ON votes (run, decision);

CREATE TABLE IF NOT EXISTS orders (
    position INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    at REAL NOT NULL,
    taken TEXT NOT NULL           -- JSON: the order, and who gave it
);
CREATE INDEX IF NOT EXISTS orders_for_run ON orders (run);

CREATE TABLE IF NOT EXISTS snapshots (
    tag TEXT NOT NULL PRIMARY KEY,
    at REAL NOT NULL,
    body TEXT NOT NULL            -- JSON
);

CREATE TRIGGER IF NOT EXISTS facts_are_never_changed BEFORE UPDATE ON facts
BEGIN SELECT RAISE(ABORT, 'facts are never changed'); END;
CREATE TRIGGER IF NOT EXISTS facts_are_never_removed BEFORE DELETE ON facts
BEGIN SELECT RAISE(ABORT, 'facts are never removed'); END;

PRAGMA application_id = 1869767528; -- 'orch' in ASCII
PRAGMA user_version = 2;
COMMIT;
