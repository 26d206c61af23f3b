-- depends: 0016.fencing

-- ANALYZE unpacks 30,000 documents of a table for statistics that no plan uses: a second each time, several times a minute while a hub grows.
ALTER TABLE entity ALTER record SET STATISTICS 0, ALTER contributions SET STATISTICS 0;
ALTER TABLE intent ALTER given SET STATISTICS 0, ALTER reasons SET STATISTICS 0, ALTER decisions SET STATISTICS 0,
    ALTER request SET STATISTICS 0, ALTER result SET STATISTICS 0;
ALTER TABLE intent_log ALTER detail SET STATISTICS 0;
ALTER TABLE conflict ALTER said SET STATISTICS 0;
