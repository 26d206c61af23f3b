-- depends: 0006.refreshes

-- Stages and amounts of flows are worked out by other rules than before: each is told to read itself again, so many at a time.
INSERT INTO refresh_due (aggregate_id, ref, entity) SELECT aggregate_id, aggregate_id, entity FROM entity WHERE entity = 'order_flow' AND NOT deleted;
