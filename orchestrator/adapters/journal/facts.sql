-- name: newest_fact
SELECT number, head FROM facts WHERE run = :run ORDER BY number DESC LIMIT 1;

-- name: add_fact
INSERT INTO facts (run, number, at, elapsed_s, body, head)
VALUES (:run, :number, :at, :elapsed_s, :body, :head);

-- name: add_run
INSERT INTO runs (run, plan, action, requester, of, approval, began_at)
VALUES (:run, :plan, :action, :requester, :of, :approval, :began_at);

-- name: add_ending
INSERT INTO endings (run, ended_at, verdict, counts, said) VALUES (:run, :ended_at, :verdict, :counts, :said);

-- name: ending_of
SELECT ended_at, verdict, said, action, of FROM endings JOIN runs USING (run) WHERE run = :run;

-- name: facts_of
SELECT number, at, elapsed_s, body, head FROM facts WHERE run = :run ORDER BY number;

-- name: newest_runs
SELECT
    runs.run, plan, action, requester, of, began_at,
    (SELECT head FROM facts WHERE facts.run = runs.run ORDER BY number DESC LIMIT 1),
    (SELECT json_group_array(decision) FROM questions
     WHERE questions.run = runs.run AND closed = '' AND answer IS NULL),
    ended_at, verdict, counts,
    epoch, owner, since, renewed_at, standing
FROM runs LEFT JOIN endings USING (run) LEFT JOIN leases USING (run) ORDER BY runs.position DESC LIMIT :limit;

-- name: run_ids
SELECT run FROM runs ORDER BY position DESC;

-- name: to_verify
SELECT run, max(began), max(ended) FROM (
    SELECT run, 1 AS began, 0 AS ended, position FROM runs
    UNION ALL SELECT run, 1, 1, 0 FROM endings
    UNION ALL SELECT DISTINCT run, 0, 0, 0 FROM facts
)
WHERE :run IS NULL OR run = :run GROUP BY run ORDER BY max(position) DESC;
