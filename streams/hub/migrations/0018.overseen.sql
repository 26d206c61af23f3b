-- depends: 0017.statistics

-- Flows and sums of customers are looked through every few minutes, for what is stuck or overdue: not the whole hub for it.
CREATE INDEX entity_overseen ON entity (entity) WHERE entity IN ('order_flow', 'receivables');
