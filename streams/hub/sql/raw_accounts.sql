-- name: raw_accounts
-- The account of each raw partition; of `topics` only, or of all where it is null.
SELECT topic, partition, since, upto, passed, filtered, tombstones, dead, parked, control FROM raw_account
WHERE %(topics)s::text[] IS NULL OR topic = ANY(%(topics)s::text[]);

-- name: rebase_raw_account
-- Move the start of an account so that it balances from `upto` on, whatever it lacked before.
INSERT INTO raw_account AS a (topic, partition, since, upto, passed, filtered, tombstones, dead, parked, control)
VALUES (%(topic)s, %(partition)s, %(upto)s, %(upto)s, 0, 0, 0, 0, 0, 0)
ON CONFLICT (topic, partition) DO UPDATE SET
    upto = greatest(a.upto, excluded.upto),
    since = greatest(a.upto, excluded.upto) - (a.passed + a.filtered + a.tombstones + a.dead + a.parked + a.control);

-- name: dead_letter_counts
-- Dead letters by what they were when they came (`dead` or `parked`) and by what they are now.
SELECT starts_with(topic, 'raw.') AS is_raw, came_as, state, count(*) AS records, count(DISTINCT (topic, key)) AS keys
FROM dead_letter GROUP BY 1, 2, 3;

-- name: dead_letters_by_partition
SELECT topic, partition, count(*) AS records FROM dead_letter GROUP BY 1, 2;
