-- The business figures: kept by week, computed from one narrow row for each order flow. Functions: streams/hub/figures.py;
-- what each figure means: docs/guides/figures.md.

-- name: save_flow_figures
-- What the figures need of these flows, by the ids of their joined records; a flow without one has no figures. The weeks whose figures
-- change are marked. A step counts once it is complete: all goods left, all is paid. Where no system reports the arrival of goods, their
-- departure stands for it.
WITH wanted AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(records)s::uuid[]) AS wanted (id, record_id)
), new AS (
    SELECT w.id, e.record->>'stage' AS stage, coalesce((e.record->>'stage_since')::bigint, e.updated_us) AS since_us,
           CASE WHEN e.record->>'opportunity_stage' = 'won' THEN (e.record->>'won_at')::bigint END AS won_us,
           CASE WHEN e.record->>'stage' NOT IN ('opportunity', 'won', 'lost', 'draft', 'cancelled') THEN (e.record->>'ordered_at')::bigint END AS ordered_us,
           CASE WHEN e.record->>'shipment_status' IN ('shipped', 'delivered') THEN (e.record->>'shipped_at')::bigint END AS shipped_us,
           CASE WHEN e.record->>'shipment_status' IN ('shipped', 'delivered')
                THEN coalesce((e.record->>'delivered_at')::bigint, (e.record->>'shipped_at')::bigint) END AS delivered_us,
           CASE WHEN e.record->>'payment_status' <> 'none' THEN (e.record->>'invoiced_at')::bigint END AS invoiced_us,
           CASE WHEN e.record->>'payment_status' IN ('paid', 'overpaid') THEN (e.record->>'paid_at')::bigint END AS paid_us,
           CASE WHEN e.record->>'payment_status' IN ('paid', 'overpaid', 'credited')
                THEN coalesce((e.record->>'paid_at')::bigint, (e.record->>'invoiced_at')::bigint) END AS settled_us,
           (e.record->>'promised_date')::int AS promised, e.record->>'currency' AS currency,
           (e.record->>'invoiced_amount')::bigint AS invoiced, (e.record->>'open_amount')::bigint AS open,
           approval.asked_us, approval.approved_us, event.ready_us, coalesce(event.returned, false) AS returned
    FROM wanted w JOIN entity e ON e.id = w.record_id
    LEFT JOIN LATERAL (
        SELECT max((v->>'at')::bigint) FILTER (WHERE v->>'what' IN ('received', 'produced')) AS ready_us, bool_or(v->>'what' = 'return requested') AS returned
        FROM jsonb_array_elements(e.record->'timeline') v) event ON true
    LEFT JOIN LATERAL (
        SELECT (extract(epoch FROM min(i.created_at)) * 1e6)::bigint AS asked_us, (extract(epoch FROM max((d->>'at')::timestamptz)) * 1e6)::bigint AS approved_us
        FROM intent i CROSS JOIN LATERAL jsonb_array_elements(i.decisions) d WHERE i.aggregate_id = w.id AND d->>'what' = 'approve') approval ON true
    WHERE NOT e.deleted AND e.merged_into IS NULL AND e.record->>'stage' IS NOT NULL
), old AS (
    SELECT f.* FROM flow_figure f JOIN wanted USING (id)
), gone AS (
    DELETE FROM flow_figure f USING wanted w WHERE f.id = w.id AND NOT EXISTS (SELECT FROM new WHERE new.id = w.id)
), saved AS (
    INSERT INTO flow_figure AS f (id, stage, since_us, won_us, ordered_us, shipped_us, delivered_us, invoiced_us, paid_us, settled_us, promised,
                                  currency, invoiced, open, asked_us, approved_us, ready_us, returned)
    SELECT new.* FROM new LEFT JOIN old USING (id) WHERE old IS DISTINCT FROM new ORDER BY new.id
    ON CONFLICT (id) DO UPDATE SET (stage, since_us, won_us, ordered_us, shipped_us, delivered_us, invoiced_us, paid_us, settled_us, promised,
                                    currency, invoiced, open, asked_us, approved_us, ready_us, returned)
        = (excluded.stage, excluded.since_us, excluded.won_us, excluded.ordered_us, excluded.shipped_us, excluded.delivered_us,
           excluded.invoiced_us, excluded.paid_us, excluded.settled_us, excluded.promised, excluded.currency, excluded.invoiced, excluded.open,
           excluded.asked_us, excluded.approved_us, excluded.ready_us, excluded.returned)
), changed AS (
    (TABLE new EXCEPT TABLE old) UNION ALL (TABLE old EXCEPT TABLE new)
)
INSERT INTO figure_due (week)
SELECT DISTINCT date_trunc('week', to_timestamp(us / 1e6) AT TIME ZONE 'UTC')::date FROM changed
CROSS JOIN LATERAL unnest(ARRAY[approved_us, ordered_us, shipped_us, delivered_us, invoiced_us, paid_us, settled_us, promised * 86400000000]) AS us
WHERE us IS NOT NULL ORDER BY 1
ON CONFLICT (week) DO NOTHING;

-- name: take_due_weeks
-- The weeks that are to be computed again, taken out of the list; this week and the last one are always among them, since a flow becomes
-- late, and records come, without any change of a flow.
WITH taken AS (
    DELETE FROM figure_due RETURNING week
)
SELECT week FROM taken
UNION SELECT date_trunc('week', now() AT TIME ZONE 'UTC')::date - 7 * n FROM generate_series(0, 1) n
ORDER BY week;

-- name: measure_weeks
-- Compute the figures of these weeks from the rows of the flows, in one pass over them.
WITH wanted AS (
    SELECT week, extract(epoch FROM week)::bigint * 1000000 AS first_us, extract(epoch FROM week + 7)::bigint * 1000000 AS end_us
    FROM unnest(%(weeks)s::date[]) AS wanted (week)
), bound AS (
    SELECT min(first_us) AS first_us, max(end_us) AS end_us FROM wanted
), step AS (
    SELECT v.figure, v.currency, v.at_us, v.seconds, v.good, v.amount
    FROM flow_figure f CROSS JOIN bound CROSS JOIN LATERAL (VALUES
        ('won_to_ordered', '', f.ordered_us, (f.ordered_us - f.won_us) / 1e6, NULL::bigint, NULL::bigint),
        ('asked_to_approved', '', f.approved_us, (f.approved_us - f.asked_us) / 1e6, NULL, NULL),
        ('ordered_to_ready', '', f.shipped_us, (f.ready_us - f.ordered_us) / 1e6, NULL, NULL),
        ('ready_to_shipped', '', f.shipped_us, (f.shipped_us - greatest(f.ready_us, f.ordered_us)) / 1e6, NULL, NULL),
        ('shipped_to_delivered', '', CASE WHEN f.delivered_us > f.shipped_us THEN f.delivered_us END, (f.delivered_us - f.shipped_us) / 1e6, NULL, NULL),
        ('returned', '', f.shipped_us, 0, coalesce(f.returned, false)::int::bigint, NULL),
        ('ordered_to_shipped', '', f.shipped_us, (f.shipped_us - f.ordered_us) / 1e6, NULL, NULL),
        ('shipped_to_invoiced', '', f.invoiced_us, (f.invoiced_us - f.shipped_us) / 1e6, NULL, NULL),
        ('invoiced_to_paid', '', f.paid_us, (f.paid_us - f.invoiced_us) / 1e6, NULL, NULL),
        ('won_to_paid', '', f.paid_us, (f.paid_us - f.won_us) / 1e6, NULL, NULL),
        ('on_time', '', CASE WHEN f.ordered_us IS NOT NULL AND f.promised < (now() AT TIME ZONE 'UTC')::date - date '1970-01-01'
                             THEN f.promised * 86400000000 END,
         0, (f.delivered_us IS NOT NULL AND f.delivered_us < (f.promised + 1) * 86400000000)::int::bigint, NULL),
        ('invoiced', coalesce(f.currency, ''), f.invoiced_us, 0, NULL, f.invoiced),
        ('receivable', coalesce(f.currency, ''), f.invoiced_us, 0, NULL, CASE WHEN f.settled_us IS NULL THEN f.open ELSE f.invoiced END),
        ('settled', coalesce(f.currency, ''), CASE WHEN f.invoiced_us IS NOT NULL THEN f.settled_us END, 0, NULL, f.invoiced)
    ) AS v (figure, currency, at_us, seconds, good, amount)
    WHERE v.at_us >= bound.first_us AND v.at_us < bound.end_us AND v.seconds IS NOT NULL
), computed AS (
    -- An invoice has a day and no time, and a deal may be marked as won after its order: a step takes no less than no time.
    SELECT w.week, s.figure, s.currency, count(*) AS count,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY greatest(s.seconds, 0)) FILTER (WHERE s.figure LIKE '%%\_to\_%%') AS median_s,
           percentile_cont(0.9) WITHIN GROUP (ORDER BY greatest(s.seconds, 0)) FILTER (WHERE s.figure LIKE '%%\_to\_%%') AS p90_s,
           sum(s.good)::bigint AS good, sum(s.amount) AS amount
    FROM step s JOIN wanted w ON s.at_us >= w.first_us AND s.at_us < w.end_us GROUP BY 1, 2, 3
    UNION ALL
    SELECT w.week, 'first_contact', '', count(*), NULL, NULL, count(*) FILTER (WHERE c.record->>'contact_count' = '1'), NULL
    FROM wanted w JOIN entity c ON c.case_since >= w.first_us AND c.case_since < w.end_us
    WHERE NOT c.case_open AND c.record->>'contact_count' IS NOT NULL GROUP BY 1
), gone AS (
    DELETE FROM figure_week f USING wanted w WHERE f.week = w.week AND f.figure <> ALL(ARRAY['records', 'written'])
    AND NOT EXISTS (SELECT FROM computed c WHERE (c.week, c.figure, c.currency) = (f.week, f.figure, f.currency))
)
INSERT INTO figure_week AS f (week, figure, currency, count, median_s, p90_s, good, amount)
SELECT week, figure, currency, count, median_s, p90_s, good, amount FROM computed
ON CONFLICT (figure, week, currency) DO UPDATE SET count = excluded.count, median_s = excluded.median_s, p90_s = excluded.p90_s,
    good = excluded.good, amount = excluded.amount, measured_at = clock_timestamp();

-- name: measure_records
-- The records of this week and what became of them: how many came since the last row of an earlier week, and how many of them failed; the
-- same of intents, by the day on which they ended.
WITH week AS (
    SELECT date_trunc('week', now() AT TIME ZONE 'UTC')::date AS week, date_trunc('week', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS since
), total AS (
    SELECT coalesce(sum(passed + filtered + tombstones + dead + parked), 0) AS taken FROM raw_account
), record AS (
    SELECT week, 'records' AS figure, greatest(0, taken - coalesce((SELECT amount FROM figure_week f WHERE f.figure = 'records' AND f.week < week.week
                                                        ORDER BY f.week DESC LIMIT 1), 0))::bigint AS count,
           (SELECT count(*) FROM dead_letter d WHERE d.seen_at >= week.since AND d.came_as = 'dead') AS failed, taken AS amount
    FROM week, total
), written AS (
    SELECT week, 'written' AS figure, count(i.id) AS count, count(i.id) FILTER (WHERE i.state = 'dead') AS failed, NULL::numeric AS amount
    FROM week LEFT JOIN intent i ON i.done_at >= week.since AND i.state IN ('delivered', 'dead') GROUP BY week
)
INSERT INTO figure_week AS f (week, figure, count, good, amount)
SELECT week, figure, count, greatest(0, count - failed), amount FROM (TABLE record UNION ALL TABLE written) r
ON CONFLICT (figure, week, currency) DO UPDATE SET count = excluded.count, good = excluded.good, amount = excluded.amount, measured_at = clock_timestamp();

-- name: measure_blocked_flows
-- Orders of which nothing can be shipped, as far as the hub knows: an open line needs more of a product than lies in all warehouses together.
-- Lines whose unit is not the one in which the product is stocked, and products without stock figures, are left out.
WITH line AS (
    SELECT f.id, l.product_ref AS ref, coalesce((l.record->>'base_quantity')::bigint, (l.record->>'quantity')::bigint)
           - coalesce((l.record->>'shipped_quantity')::bigint, 0) AS needed, l.record->>'product_id' AS product
    FROM flow_figure f JOIN entity l ON l.aggregate_id = f.id AND l.entity = 'sales_order_line'
    WHERE f.stage IN ('ordered', 'partially_shipped') AND NOT l.deleted AND l.merged_into IS NULL AND l.version > 0
      AND coalesce(l.record->>'kind', 'goods') = 'goods' AND l.record->>'product_id' IS NOT NULL
      AND (f.stage = 'ordered' OR l.record->>'shipped_quantity' IS NOT NULL)
      AND (l.record->>'shipped_quantity' IS NULL OR l.record->>'base_quantity' IS NULL)
), short AS (
    SELECT line.id, line.product::uuid AS product_id, sum(line.needed)::bigint AS needed, min((s.record->>'on_hand')::bigint) AS on_hand
    FROM line JOIN entity s ON s.aggregate_id = line.product::uuid AND s.entity = 'stock'
    WHERE NOT s.deleted AND line.needed > 0 GROUP BY line.id, line.product
    HAVING sum(line.needed) > min((s.record->>'on_hand')::bigint)
), gone AS (
    DELETE FROM blocked_flow b WHERE NOT EXISTS (SELECT FROM short s WHERE (s.id, s.product_id) = (b.id, b.product_id))
)
INSERT INTO blocked_flow AS b (id, product_id, needed, on_hand) SELECT id, product_id, needed, on_hand FROM short ORDER BY id, product_id
ON CONFLICT (id, product_id) DO UPDATE SET needed = excluded.needed, on_hand = excluded.on_hand
WHERE (b.needed, b.on_hand) IS DISTINCT FROM (excluded.needed, excluded.on_hand);

-- name: measure_now
-- The figures of this moment. `limits`: stage -> seconds after which a flow is stuck; one whose intent waits for people is not.
WITH stuck AS (
    SELECT count(*) AS value FROM jsonb_each_text(%(limits)s::jsonb) l JOIN flow_figure f
      ON f.stage = l.key AND f.since_us < (extract(epoch FROM now()) - l.value::float8) * 1000000
    WHERE NOT (f.stage = 'won' AND EXISTS (SELECT FROM intent i WHERE i.aggregate_id = f.id AND i.state = 'waiting'))
), stage AS (
    SELECT stage, count(*) AS flows FROM flow_figure GROUP BY stage
), waiting AS (
    SELECT count(*) AS value, jsonb_build_object('short', count(*) FILTER (WHERE record->>'status' = 'short'),
                                                 'late', count(*) FILTER (WHERE record->>'late_days' IS NOT NULL)) AS detail
    FROM entity WHERE supply_waits IS NOT NULL
)
INSERT INTO figure_now AS f (figure, value, detail)
SELECT 'stuck', value, '{}'::jsonb FROM stuck
UNION ALL SELECT 'flows', coalesce(sum(flows), 0), coalesce(jsonb_object_agg(stage, flows), '{}') FROM stage
UNION ALL SELECT 'blocked', count(DISTINCT id), jsonb_build_object('products', count(DISTINCT product_id)) FROM blocked_flow
UNION ALL SELECT 'waiting_lines', value, detail FROM waiting
UNION ALL SELECT 'late_purchases', count(*), '{}' FROM entity WHERE purchase_due < (now() AT TIME ZONE 'UTC')::date - date '1970-01-01'
UNION ALL SELECT 'customers', coalesce((SELECT max(records) FROM quality WHERE entity = 'customer' AND at = (SELECT max(at) FROM quality WHERE entity = 'customer')), 0), '{}'
ON CONFLICT (figure) DO UPDATE SET value = excluded.value, detail = excluded.detail, measured_at = clock_timestamp();

-- name: longest_stuck
-- Numbers of the orders, or deals, that are stuck for the longest time. `limits` as above.
SELECT coalesce(r.record->>'order_number', r.record->>'opportunity_number') AS number
FROM jsonb_each_text(%(limits)s::jsonb) l
JOIN flow_figure f ON f.stage = l.key AND f.since_us < (extract(epoch FROM now()) - l.value::float8) * 1000000
JOIN entity r ON r.aggregate_id = f.id AND r.entity = 'order_flow' AND NOT r.deleted AND r.merged_into IS NULL
WHERE coalesce(r.record->>'order_number', r.record->>'opportunity_number') IS NOT NULL
  AND NOT (f.stage = 'won' AND EXISTS (SELECT FROM intent i WHERE i.aggregate_id = f.id AND i.state = 'waiting'))
ORDER BY f.since_us, f.id LIMIT %(limit)s;

-- name: figure_weeks
-- The figures by week since `since`, the oldest first.
SELECT week, figure, currency, count, median_s, p90_s, good, amount::float8 AS amount, measured_at FROM figure_week
WHERE week >= %(since)s::date ORDER BY week, figure, currency;

-- name: open_before
-- By currency, what was open at the start of a week: all that was invoiced before it, less what was settled before it.
SELECT currency, sum(CASE figure WHEN 'receivable' THEN amount WHEN 'settled' THEN -amount END)::float8 AS amount FROM figure_week
WHERE figure IN ('receivable', 'settled') AND week < %(week)s::date GROUP BY currency;

-- name: figures_now
SELECT figure, value, detail, measured_at FROM figure_now;

-- name: blocked_flows
-- Orders that wait for goods, the longest first, each with the product of which least lies there.
SELECT b.id::text AS id, f.since_us, r.record->>'order_number' AS number, c.record->>'name' AS customer, p.record->>'sku' AS sku, p.record->>'name' AS product,
       b.needed, b.on_hand, (r.record->>'ordered_amount')::bigint AS amount, r.record->>'currency' AS currency
FROM (SELECT DISTINCT ON (id) * FROM blocked_flow ORDER BY id, on_hand - needed) b JOIN flow_figure f ON f.id = b.id
LEFT JOIN entity p ON p.id = b.product_id LEFT JOIN entity r ON r.aggregate_id = b.id AND r.entity = 'order_flow' AND NOT r.deleted
LEFT JOIN entity c ON c.id = (r.record->>'customer_id')::uuid
ORDER BY f.since_us, b.id LIMIT %(limit)s;

-- name: figures_turn
-- Whether this session holds the lock under which one worker computes figures.
SELECT pg_try_advisory_lock(%(lock)s) AS has_lock;

-- name: keep_pace
-- A sample of lag and throughput, one a minute whoever takes it; samples are kept for a month. And how many records of each raw topic had
-- come when the day began (UTC); pages read `raw_topic`.
WITH old AS (
    DELETE FROM pace WHERE at < now() - interval '31 days'
), gone AS (
    DELETE FROM worker WHERE seen_at < now() - interval '7 days'
), old_days AS (
    DELETE FROM raw_account_day WHERE day < (now() AT TIME ZONE 'UTC')::date - 40
), day AS (
    -- All records of a topic that no earlier day knows came today.
    INSERT INTO raw_account_day (topic, day, counted)
    SELECT topic, (now() AT TIME ZONE 'UTC')::date,
           CASE WHEN EXISTS (SELECT FROM raw_account_day y WHERE y.topic = t.topic) THEN t.taken ELSE 0 END
    FROM raw_topic t ON CONFLICT DO NOTHING
)
INSERT INTO pace (at, taken, emitted, dead, lag, p50_ms, p99_ms)
SELECT date_trunc('minute', now()), (SELECT coalesce(sum(upto - since), 0) FROM raw_account),
       coalesce(sum((l.value->>'records_out')::bigint) FILTER (WHERE l.key = 'assemble'), 0), (SELECT coalesce(sum(dead), 0) FROM raw_account),
       coalesce(sum((l.value->>'lag_records')::bigint), 0), max((w.latency->>'p50_ms')::float8), max((w.latency->>'p99_ms')::float8)
FROM worker w CROSS JOIN LATERAL jsonb_each(w.lanes) l
WHERE w.seen_at > now() - interval '30 seconds' AND w.stopped_at IS NULL
ON CONFLICT (at) DO NOTHING;

-- name: waiting_counts
-- What waits for people, counted up to `most` each.
SELECT (SELECT count(*) FROM (SELECT FROM intent WHERE state = 'waiting' LIMIT %(most)s) i) AS approvals,
       (SELECT count(*) FROM (SELECT FROM conflict WHERE resolved_at IS NULL AND outcome IN ('open', 'flip_flop') LIMIT %(most)s) c) AS conflicts,
       (SELECT count(*) FROM (SELECT FROM dead_letter WHERE state IN ('dead', 'parked', 'retry') LIMIT %(most)s) d) AS dead_letters,
       (SELECT count(*) FROM (SELECT FROM intent WHERE state = 'dead' AND done_at > now() - interval '30 days' LIMIT %(most)s) i) AS given_up;
