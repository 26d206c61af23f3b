-- Echoes of what write-back sent to targets whose rows do not show who wrote them.

-- name: claim_echoes
-- Which of these changes are echoes: (source id, transaction). Each request has one echo: the first change of the written row that has just the
-- written values, at the time of the request, and everything else that its transaction changed. The clocks of hub and target may differ by `skew`
-- microseconds.
WITH new AS (
    SELECT * FROM jsonb_to_recordset(convert_from(%(changes)b, 'UTF8')::jsonb) AS new (
        system text, entity text, row_id uuid, made boolean, tx text, us bigint, fields jsonb, number integer)
), first AS (
    SELECT DISTINCT ON (e.intent_id) e.intent_id, n.tx FROM echo_due e JOIN new n ON n.system = e.target
    WHERE e.tx IS NULL AND n.us >= e.from_us - %(skew)s::bigint AND n.us <= coalesce(e.until_us, n.us) + %(skew)s::bigint
      AND (e.row_id = n.row_id OR (e.row_id IS NULL AND n.made AND n.entity = e.entity)) AND n.fields @> e.fields
    ORDER BY e.intent_id, n.number
), claimed AS (
    UPDATE echo_due e SET tx = first.tx FROM first WHERE e.intent_id = first.intent_id AND e.tx IS NULL RETURNING e.target, e.tx
)
SELECT n.row_id::text, n.tx FROM new n
WHERE EXISTS (SELECT FROM claimed c WHERE c.target = n.system AND c.tx = n.tx)
   OR EXISTS (SELECT FROM echo_due e WHERE e.target = n.system AND e.tx = n.tx AND n.us >= e.from_us - %(skew)s::bigint);

-- name: forget_echoes
-- Echoes that did not come back within an hour: nobody waits for them any more.
DELETE FROM echo_due WHERE from_us < extract(epoch FROM now() - interval '1 h') * 1e6;
