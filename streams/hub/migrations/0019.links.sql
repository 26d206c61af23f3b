-- depends: 0018.overseen

-- A worker that stood still may tell late where a record lived: what its source said later stands.
ALTER TABLE identity ADD COLUMN said_at bigint[] NOT NULL DEFAULT '{0,0,0}';
COMMENT ON COLUMN identity.said_at IS 'where in its source it was said: epoch, major, minor; {0,0,0}: people, or a match';
