-- depends: 0011.delivery 0019.links

-- Columns of write-back get the words of docs/glossary.md.
ALTER TABLE intent RENAME COLUMN unsure TO in_doubt;
COMMENT ON COLUMN intent.in_doubt IS 'it was sent, and it is not known whether the target did it: look it up or read it back before it is sent again';
ALTER TABLE intent RENAME COLUMN incomplete_since TO not_ready_since;
COMMENT ON COLUMN intent.not_ready_since IS 'since when delivery waits until the record is complete in the hub, or until the hub knows what the target has; null while it does not wait';
ALTER TABLE echo_due RENAME COLUMN said TO fields;
COMMENT ON COLUMN echo_due.row_id IS 'source id of the row; null for a row that is to be created, which is recognised by its fields';
COMMENT ON COLUMN echo_due.fields IS 'canonical fields that the row has when it was written';
COMMENT ON COLUMN echo_due.from_us IS 'just before the request, microseconds since 1970';
COMMENT ON COLUMN echo_due.until_us IS 'when the outcome of the request was recorded; null while it is on its way';
COMMENT ON COLUMN echo_due.tx IS 'the transaction in which it came back: no other transaction is its echo';
COMMENT ON COLUMN intent.decisions IS 'decisions of people: [{who, account, what, why, at, reasons}]; what is approve or reject';
COMMENT ON COLUMN intent.reasons IS 'why people are asked: [{reason, people, amount, currency, discount}]';
