-- depends: 0014.disputes

-- A record with a long text is written again with each change of it: packing it took a fifth of what the hub computes.
ALTER TABLE entity ALTER COLUMN record SET STORAGE EXTERNAL, ALTER COLUMN contributions SET STORAGE EXTERNAL;
