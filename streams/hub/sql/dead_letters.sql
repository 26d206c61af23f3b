-- Records that failed or wait behind one that failed. `dead_letter.position` is the offset of the Kafka record.

-- name: add_dead_letter
-- A change that failed in assemble. A retry produces the record once more, at another offset: its tries count on.
INSERT INTO dead_letter (topic, partition, position, key, value, stage, class, reason, tried)
SELECT topic, partition, position, key, value, stage, class, reason, 1 + coalesce((
    SELECT max(tried) FROM dead_letter d WHERE d.topic = new.topic AND d.key = new.key AND d.value = new.value AND d.state = 'retried'), 0)
FROM (VALUES (%s::text, %s::int, %s::bigint, %s::bytea, %s::bytea, %s::text, %s::text, %s::text))
     AS new (topic, partition, position, key, value, stage, class, reason)
ON CONFLICT (topic, partition, position) DO UPDATE SET tried = dead_letter.tried + 1, reason = excluded.reason;

-- name: add_dead_letters
-- Raw records of a checkpoint that failed or are parked. One that is known keeps its state: a person may have settled it.
INSERT INTO dead_letter AS d (topic, partition, position, key, value, stage, class, reason, state, came_as)
SELECT topic, partition, position, key, value, stage, class, reason, state, state
FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::bytea[], %s::bytea[], %s::text[], %s::text[], %s::text[], %s::text[])
     AS new (topic, partition, position, key, value, stage, class, reason, state)
ON CONFLICT (topic, partition, position) DO NOTHING;

-- name: dead_letter_states
-- The states of these records, as far as they are dead letters.
SELECT topic, partition, position, state FROM dead_letter
WHERE (topic, partition, position) IN (SELECT * FROM unnest(%s::text[], %s::int[], %s::bigint[]));

-- name: parked_keys
-- The first open record of each key: all later records of the key must wait for it.
SELECT topic, key, min(position) FROM dead_letter
WHERE state IN ('dead', 'parked', 'retry') AND topic = ANY(%s::text[]) AND key IS NOT NULL GROUP BY topic, key;

-- name: open_dead_letters
-- The open records of one key, in order.
SELECT partition, position, state, coalesce(edited, value), key FROM dead_letter
WHERE topic = %s AND key IS NOT DISTINCT FROM %s AND state IN ('dead', 'parked', 'retry') ORDER BY position;

-- name: retry_failed
-- A record that was retried and failed again.
UPDATE dead_letter SET state = 'dead', tried = tried + 1, stage = %s, class = %s, reason = %s, changed_at = now()
WHERE topic = %s AND partition = %s AND position = %s AND state IN ('parked', 'retry');

-- name: retries_passed
-- Records that were retried and passed.
UPDATE dead_letter SET state = 'retried', changed_at = now()
WHERE state IN ('parked', 'retry') AND (topic, partition, position) IN (SELECT * FROM unnest(%s::text[], %s::int[], %s::bigint[]));

-- name: overdue_retries
-- Keys with a record that was marked for a retry, and whose worker did not answer.
SELECT DISTINCT ON (topic, key) topic, partition, key FROM dead_letter
WHERE state = 'retry' AND changed_at < now() - interval '10 seconds' ORDER BY topic, key, position LIMIT 1000;

-- name: retry_missing_lookups
-- Records whose code the code table did not have: retried after 5 s, then each time after three times as long, at most an hour, ten times.
UPDATE dead_letter SET state = 'retry', changed_at = now()
WHERE state = 'dead' AND class = 'LookupMissing' AND starts_with(topic, 'raw.') AND tried < 10
  AND changed_at < now() - least(interval '5 seconds' * 3 ^ (tried - 1), interval '1 hour')
RETURNING topic, partition, key;

-- name: find_dead_letters
-- Dead letters by a filter, the oldest first; a parameter that is null does not narrow them.
SELECT id, topic, partition, position AS offset, key, coalesce(edited, value) AS value, edited IS NOT NULL AS is_edited,
       stage, class AS error_class, reason, tried, state, came_as, to_char(seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS seen_at
FROM dead_letter
WHERE (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s)) AND (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
  AND (%(topic)s::text IS NULL OR topic LIKE %(topic)s) AND (%(key)s::bytea IS NULL OR key = %(key)s)
  AND (%(stage)s::text IS NULL OR stage = %(stage)s) AND (%(error_class)s::text IS NULL OR class = %(error_class)s)
  AND (%(reason)s::text IS NULL OR position(lower(%(reason)s) in lower(reason)) > 0)
ORDER BY seen_at, topic, partition, position LIMIT %(limit)s;

-- name: count_dead_letters
-- As find_dead_letters.
SELECT count(*) FROM dead_letter
WHERE (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s)) AND (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
  AND (%(topic)s::text IS NULL OR topic LIKE %(topic)s) AND (%(key)s::bytea IS NULL OR key = %(key)s)
  AND (%(stage)s::text IS NULL OR stage = %(stage)s) AND (%(error_class)s::text IS NULL OR class = %(error_class)s)
  AND (%(reason)s::text IS NULL OR position(lower(%(reason)s) in lower(reason)) > 0);

-- name: edit_dead_letter
UPDATE dead_letter SET edited = %s, edited_by = %s, changed_at = now() WHERE id = %s;

-- name: set_dead_letter_state
-- Of those that are open: what somebody settled meanwhile stays settled.
UPDATE dead_letter SET state = %s, changed_at = now() WHERE id = ANY(%s) AND state IN ('dead', 'parked', 'retry');

-- name: dead_letter_original
-- What came from the source, who edited it, and how many records of its key are parked behind it.
SELECT d.value, d.edited_by, (SELECT count(*) FROM dead_letter b
    WHERE b.topic = d.topic AND b.key = d.key AND b.state = 'parked' AND b.position > d.position) AS waiting_behind
FROM dead_letter d WHERE d.id = %s;

-- name: dead_letter_audit
-- What people did to one dead letter.
SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at, who, verb, detail
FROM dead_letter_audit WHERE dead_letter_id = %s ORDER BY at;

-- name: audit_dead_letters
INSERT INTO dead_letter_audit (who, verb, dead_letter_id, detail) SELECT %s, %s, id, %s FROM unnest(%s::bigint[]) AS id;
