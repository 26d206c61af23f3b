-- What people did: `audit`. Functions: streams/hub/audit.py.

-- name: begin_audit
INSERT INTO audit (who, what, via, about, why, wanted)
VALUES (%(who)s, %(what)s, %(via)s, %(about)s, %(why)s, %(wanted)s::jsonb) RETURNING id;

-- name: end_audit
UPDATE audit SET result = %(result)s::jsonb, failed = %(failed)s WHERE id = %(id)s;

-- name: audit_entries
SELECT id, at, who, what, via, about, why, wanted, result, failed FROM audit
WHERE (%(before)s::bigint IS NULL OR id < %(before)s) AND (%(who)s::text IS NULL OR who = %(who)s)
  AND (%(what)s::text IS NULL OR what = %(what)s) AND (%(about)s::text IS NULL OR about = %(about)s)
ORDER BY id DESC LIMIT %(limit)s;
