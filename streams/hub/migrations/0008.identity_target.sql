-- depends: 0001.entities

-- What was linked to a record has to be found when that record is linked in its turn.
CREATE INDEX identity_target ON identity (target) WHERE same;
