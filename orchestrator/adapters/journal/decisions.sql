-- name: add_question
INSERT INTO questions (run, decision, asked_at, asked) VALUES (:run, :decision, :now, :asked);

-- name: grow_question
UPDATE questions SET asked = :asked WHERE run = :run AND decision = :decision;

-- name: close_question
UPDATE questions SET closed = :closed WHERE run = :run AND decision = :decision;

-- name: answer_question
UPDATE questions SET answer = :answer, answered_at = :now WHERE run = :run AND decision = :decision;

-- name: questions_of
SELECT decision FROM questions WHERE run = :run AND closed = '';

-- name: question
SELECT asked, answer, answered_at, closed FROM questions WHERE run = :run AND decision = :decision;

-- name: votes_on
SELECT at, vote FROM votes WHERE run = :run AND decision = :decision ORDER BY position;

-- name: add_vote
INSERT INTO votes (run, decision, at, vote) VALUES (:run, :decision, :now, :vote);

-- name: open_questions
SELECT run, decision, plan, requester, approval, asked_at
FROM questions JOIN runs USING (run) WHERE closed = '' ORDER BY asked_at, questions.position;

-- name: add_order
INSERT INTO orders (run, at, taken) VALUES (:run, :now, :taken);

-- name: orders_for
SELECT taken FROM orders WHERE run = :run ORDER BY position;
