-- depends: 0118.people

ALTER TABLE entity ADD COLUMN handed_over boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN entity.handed_over IS 'another aggregate handed this row over, and the writer of its aggregate has not settled and emitted it yet';
