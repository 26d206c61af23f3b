-- Counts that metrics export. Each reads a partial index: what is finished, which grows for ever, is not read. Functions: streams/hub/hub_figures.py.

-- name: count_unfinished_intents
SELECT jsonb_build_object('target', target, 'state', state) AS labels, count(*) AS count FROM (
    SELECT target, state FROM intent WHERE state IN ('planned', 'approved', 'failed', 'delivering')
    UNION ALL SELECT target, state FROM intent WHERE state = 'waiting'
    UNION ALL SELECT target, state FROM intent WHERE state = 'dead' AND done_at > now() - interval '7 days') i
GROUP BY target, state ORDER BY target, state;

-- name: count_open_conflicts
SELECT jsonb_build_object('kind', kind, 'entity', entity) AS labels, count(*) AS count FROM conflict WHERE resolved_at IS NULL
GROUP BY kind, entity ORDER BY kind, entity;

-- name: count_open_dead_letters
SELECT jsonb_build_object('state', state) AS labels, count(*) AS count FROM dead_letter WHERE state IN ('dead', 'parked', 'retry')
GROUP BY state ORDER BY state;
