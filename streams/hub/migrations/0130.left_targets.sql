-- depends: 0125.handed_over

ALTER TABLE identity ADD COLUMN left_targets uuid[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN identity.left_targets IS
    'the aggregates that the record left with this link: they are asked once more to give it up, where the worker died before it emitted that';
