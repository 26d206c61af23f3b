-- depends: 0019.links

-- Plain names: no statement and no message uses the old ones any more.
ALTER TABLE told_apart RENAME TO kept_separate;
ALTER TABLE kept_separate RENAME COLUMN one TO first_id;
ALTER TABLE kept_separate RENAME COLUMN other TO second_id;
ALTER TABLE kept_separate RENAME COLUMN why TO reason;
ALTER TABLE conflict RENAME COLUMN said TO asserted;
ALTER TABLE identity_log RENAME COLUMN why TO reason;
ALTER TABLE dead_letter_audit RENAME COLUMN letter_id TO dead_letter_id;
