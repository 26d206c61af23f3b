-- depends: 0015.storage

-- Who reads a partition: a number that grows with each worker that takes it over.
CREATE TABLE fencing_token (
    topic text NOT NULL,
    partition int NOT NULL,
    token bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);
