-- name: hub_clock
-- Its time, and by how many seconds something open was created in its future: the clock was put back by as much, or more.
SELECT extract(epoch FROM clock_timestamp())::float8 AS now_s, coalesce(extract(epoch FROM greatest((SELECT max(changed_at) FROM due),
    (SELECT max(created_at) FROM intent WHERE state IN ('planned', 'approved', 'failed', 'delivering'))) - clock_timestamp()), 0)::float8 AS created_ahead_s;

-- name: shift_after_clock_set_back
-- The hub's clock was put back by so many seconds: rows that wait for a time would wait that much longer. An intent that waits for a
-- schedule goes by the time of day, and is not changed. May be repeated: rows are only due sooner then.
WITH sums AS (
    UPDATE due SET at = greatest(clock_timestamp(), at - make_interval(secs => %(by)s)), changed_at = least(changed_at, clock_timestamp()) WHERE at > clock_timestamp()
), sweeps AS (
    UPDATE sweep SET next_at = greatest(now(), next_at - make_interval(secs => %(by)s)) WHERE next_at > now() AND swept < 6
)
UPDATE intent SET created_at = least(created_at, clock_timestamp()), lease_until = lease_until - make_interval(secs => %(by)s),
    not_before = CASE WHEN failures > 0 OR not_ready_since IS NOT NULL OR not_before < created_at + interval '5 seconds'
        THEN greatest(clock_timestamp(), not_before - make_interval(secs => %(by)s)) ELSE not_before END
WHERE state IN ('planned', 'approved', 'failed', 'delivering') AND (not_before > clock_timestamp() OR lease_until > clock_timestamp());
