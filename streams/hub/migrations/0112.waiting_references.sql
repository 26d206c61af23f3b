-- depends: 0102.identity 0103.conflicts

-- A record that names another with `same_as`, while a second row of its system is that record already, stays a record of its own until a person decides.
ALTER TABLE identity ADD waits_for uuid;
COMMENT ON COLUMN identity.waits_for IS
    'the record that this one names with same_as and may not become yet (target is its own id then); its own id: it waited, and its row names nobody now. Null of a link to itself: a person took it out';
CREATE INDEX identity_waits_for ON identity (waits_for) WHERE waits_for IS NOT NULL;

-- Conflicts with the group that each belongs to: those of one cause. `subject` is the field, or the fields of a match key without their values.
CREATE VIEW grouped_conflict AS
SELECT c.*, s.subject, s.systems, left(md5(concat_ws('|', c.kind, c.entity, s.subject, c.rule, c.winner, c.outcome, s.systems)), 6) AS group_id
FROM conflict c CROSS JOIN LATERAL (
    SELECT CASE WHEN c.kind IN ('match_key', 'shared_key') THEN regexp_replace(c.field, '=[^|]*', '', 'g') ELSE c.field END AS subject,
           (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(c.asserted) k) AS systems) s;
