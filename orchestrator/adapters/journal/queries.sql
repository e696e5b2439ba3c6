-- name: next_number
SELECT coalesce(max(number), 0) + 1 FROM facts WHERE run = :run;

-- name: add_fact
INSERT INTO facts (run, number, at, elapsed_s, body) VALUES (:run, :number, :at, :elapsed_s, :body);

-- name: add_run
INSERT INTO runs (run, plan, action, requester, began_at) VALUES (:run, :plan, :action, :requester, :began_at);

-- name: add_ending
INSERT INTO endings (run, ended_at, verdict, counts) VALUES (:run, :ended_at, :verdict, :counts);

-- name: facts_of
SELECT number, at, elapsed_s, body FROM facts WHERE run = :run ORDER BY number;

-- name: newest_runs
SELECT runs.run, plan, action, requester, began_at, ended_at, verdict, counts
FROM runs LEFT JOIN endings USING (run) ORDER BY position DESC LIMIT :limit;

-- name: run_ids
SELECT run FROM runs ORDER BY position DESC;
