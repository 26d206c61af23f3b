-- depends: 0002.identity

-- Rules of the business that do not hold stand as conflicts of their flow; looked at whenever a flow comes to rest.
CREATE INDEX conflict_invariant ON conflict (aggregate_id) WHERE kind = 'invariant' AND resolved_at IS NULL;
