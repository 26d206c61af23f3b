-- The account of raw records: by partition, what became of each offset. Beside it: sweeps, epochs, mapping notes.

-- name: counted_offsets
-- By partition, the offset up to which its records are counted.
SELECT topic, partition, upto FROM raw_account WHERE topic = ANY(%s::text[]);

-- name: count_records
-- What became of each record of a batch; a partition is written only where it was counted up to where this batch begins.
INSERT INTO raw_account AS a (topic, partition, since, upto, passed, filtered, tombstones, dead, parked, control)
SELECT topic, partition, since, upto, passed, filtered, tombstones, dead, parked, control
FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb) AS new (topic text, partition int, since bigint, upto bigint,
    passed bigint, filtered bigint, tombstones bigint, dead bigint, parked bigint, control bigint)
ON CONFLICT (topic, partition) DO UPDATE SET
    upto = excluded.upto, passed = a.passed + excluded.passed, filtered = a.filtered + excluded.filtered,
    tombstones = a.tombstones + excluded.tombstones, dead = a.dead + excluded.dead, parked = a.parked + excluded.parked,
    control = a.control + excluded.control, counted_at = now()
WHERE a.upto <= excluded.since
RETURNING topic, partition;

-- name: count_mapping_notes
-- What dictionaries changed or forgave. In one order, so that two workers do not wait for each other.
INSERT INTO mapping_note AS n (system, table_name, field, kind, count, reason, example)
SELECT system, table_name, field, kind, count, reason, example
FROM jsonb_to_recordset(convert_from(%b, 'UTF8')::jsonb)
    AS new (system text, table_name text, field text, kind text, count bigint, reason text, example text)
ORDER BY system, table_name, field, kind
ON CONFLICT (system, table_name, field, kind) DO UPDATE SET
    count = n.count + excluded.count, reason = excluded.reason, example = excluded.example, last_at = now();

-- name: epoch_starts
-- By partition, the offsets from which on the source is another (re-created, restored).
SELECT topic, partition, position, epoch FROM epoch_start WHERE topic = ANY(%s::text[]) ORDER BY epoch;

-- name: contributions_before
-- Live contributions of a system to these entities that are older than a position. Element 13 is the position of the row that makes the
-- record; it is there once rows that only add fields came after it.
SELECT c.key, e.entity, c.value->>1, e.aggregate_id::text
FROM entity e, jsonb_each(e.contributions) c
WHERE e.entity = ANY(%s::text[]) AND c.value->>0 = %s AND NOT (c.value->>6)::boolean
  AND (coalesce((c.value->13->>0)::bigint, (c.value->>2)::bigint), coalesce((c.value->13->>1)::bigint, (c.value->>3)::bigint),
       coalesce((c.value->13->>2)::bigint, (c.value->>4)::bigint)) < (%s::bigint, %s::bigint, %s::bigint);

-- name: add_sweep
-- A sweep to be repeated later, for rows that were still under way.
INSERT INTO sweep (topic, epoch, major, minor) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING;

-- name: due_sweeps
-- Sweeps that are due again: after 5 s, then each time four times as long, six times in all.
UPDATE sweep SET swept = swept + 1, next_at = now() + interval '5 seconds' * 4 ^ (swept + 1)
WHERE next_at < now() AND swept < 6 RETURNING topic, epoch, major, minor;
