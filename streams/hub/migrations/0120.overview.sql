-- depends: 0118.people

-- Workers as they report themselves every few seconds: whoever reaches the hub finds them, on whatever machine they run.
CREATE TABLE worker (
    name       text PRIMARY KEY,
    host       text NOT NULL,
    port       int  NOT NULL,
    pid        int  NOT NULL,
    version    text NOT NULL,
    roles      text[] NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    stopped_at timestamptz,
    waiting    text,
    lanes      jsonb NOT NULL DEFAULT '{}',
    latency    jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);
COMMENT ON COLUMN worker.port IS 'of its page with /healthz, /readyz, /stats and /metrics';
COMMENT ON COLUMN worker.stopped_at IS 'when it was stopped in good order; one that died is known by an old seen_at';
COMMENT ON COLUMN worker.waiting IS 'the server that it waits for, in words';
COMMENT ON COLUMN worker.lanes IS '{lane: {partitions, lag_records, records_in, records_out, dead}}; records are counted since it started';
COMMENT ON COLUMN worker.latency IS 'from commit to hub within the last minute: {count, p50_ms, p99_ms}';

-- What happened to the installation. Triggers write it, so that it is complete whichever way something was done.
CREATE TABLE installation_event (
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind  text NOT NULL,
    what  text NOT NULL,
    about text NOT NULL,
    text  text NOT NULL DEFAULT '',
    key   text UNIQUE
);
COMMENT ON COLUMN installation_event.kind IS 'worker, schema, pause, source, alert, person';
COMMENT ON COLUMN installation_event.about IS 'the worker, table, scope, system or alert to which it happened';
COMMENT ON COLUMN installation_event.key IS 'one event has one key: an alert that goes to four sinks is one';
CREATE INDEX installation_event_kind ON installation_event (kind, id);

-- Lag and throughput, a row a minute, kept for a month. Counters only grow; `lag` is the number of records that wait.
CREATE TABLE pace (
    at        timestamptz PRIMARY KEY,
    taken     bigint NOT NULL,
    emitted   bigint NOT NULL,
    dead      bigint NOT NULL,
    lag       bigint NOT NULL,
    p50_ms    float8,
    p99_ms    float8
);
COMMENT ON COLUMN pace.taken IS 'raw records that were read, whatever became of them';

-- What the business figures need of each order flow: one narrow row, written when the flow has come to rest. Times are microseconds since
-- 1970, and null until the step is complete. docs/guides/figures.md defines the figures.
CREATE TABLE flow_figure (
    id           uuid PRIMARY KEY,
    stage        text NOT NULL,
    since_us     bigint,
    won_us       bigint,
    ordered_us   bigint,
    shipped_us   bigint,
    delivered_us bigint,
    invoiced_us  bigint,
    paid_us      bigint,
    settled_us   bigint,
    promised     int,
    currency     text,
    invoiced     bigint,
    open         bigint
) WITH (fillfactor = 85);
COMMENT ON COLUMN flow_figure.id IS 'the aggregate';
COMMENT ON COLUMN flow_figure.settled_us IS 'when nothing more was to be paid';
COMMENT ON COLUMN flow_figure.promised IS 'days since 1970';
COMMENT ON COLUMN flow_figure.open IS 'unscaled, as invoiced; in `currency`';
-- Flows that wait for goods, or stand in their stage for too long, are found without reading those that are over.
CREATE INDEX flow_figure_open ON flow_figure (stage, since_us)
    WHERE stage NOT IN ('paid', 'lost', 'cancelled', 'credited');

-- Weeks whose figures are to be computed again, since a flow of theirs changed.
CREATE TABLE figure_due (week date PRIMARY KEY);

-- The figures by week (Monday, UTC).
CREATE TABLE figure_week (
    week        date NOT NULL,
    figure      text NOT NULL,
    currency    text NOT NULL DEFAULT '',
    count       bigint NOT NULL,
    median_s    float8,
    p90_s       float8,
    good        bigint,
    amount      numeric,
    measured_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (figure, week, currency)
);
COMMENT ON COLUMN figure_week.good IS 'of `count`, those that were on time, or without error';
COMMENT ON COLUMN figure_week.amount IS 'a sum of money, unscaled; of `records` the number that had come in all by then';

-- Figures of this moment.
CREATE TABLE figure_now (
    figure      text PRIMARY KEY,
    value       bigint NOT NULL,
    detail      jsonb NOT NULL DEFAULT '{}',
    measured_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Flows whose goods cannot be shipped, as far as the hub knows: less lies in the warehouses than the order line needs.
CREATE TABLE blocked_flow (
    id         uuid NOT NULL,
    product_id uuid NOT NULL,
    needed     bigint NOT NULL,
    on_hand    bigint NOT NULL,
    since      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, product_id)
);

-- What was delivered to a target within the last minutes, and how much failed.
CREATE INDEX intent_done ON intent (done_at) WHERE done_at IS NOT NULL;

-- Every flow that is in the hub already; the same as the statement save_flow_figures in hub/sql/figures.sql.
INSERT INTO flow_figure (id, stage, since_us, won_us, ordered_us, shipped_us, delivered_us, invoiced_us, paid_us, settled_us, promised,
                         currency, invoiced, open)
SELECT e.aggregate_id, e.record->>'stage', coalesce((e.record->>'stage_since')::bigint, e.updated_us),
       CASE WHEN e.record->>'opportunity_stage' = 'won' THEN (e.record->>'won_at')::bigint END,
       CASE WHEN e.record->>'stage' NOT IN ('opportunity', 'won', 'lost', 'draft', 'cancelled') THEN (e.record->>'ordered_at')::bigint END,
       CASE WHEN e.record->>'shipment_status' IN ('shipped', 'delivered') THEN (e.record->>'shipped_at')::bigint END,
       CASE WHEN e.record->>'shipment_status' IN ('shipped', 'delivered')
            THEN coalesce((e.record->>'delivered_at')::bigint, (e.record->>'shipped_at')::bigint) END,
       CASE WHEN e.record->>'payment_status' <> 'none' THEN (e.record->>'invoiced_at')::bigint END,
       CASE WHEN e.record->>'payment_status' IN ('paid', 'overpaid') THEN (e.record->>'paid_at')::bigint END,
       CASE WHEN e.record->>'payment_status' IN ('paid', 'overpaid', 'credited')
            THEN coalesce((e.record->>'paid_at')::bigint, (e.record->>'invoiced_at')::bigint) END,
       (e.record->>'promised_date')::int, e.record->>'currency', (e.record->>'invoiced_amount')::bigint, (e.record->>'open_amount')::bigint
FROM entity e WHERE e.entity = 'order_flow' AND NOT e.deleted AND e.merged_into IS NULL AND e.record->>'stage' IS NOT NULL
ON CONFLICT (id) DO NOTHING;
INSERT INTO figure_due SELECT DISTINCT date_trunc('week', to_timestamp(us / 1e6) AT TIME ZONE 'UTC')::date
FROM flow_figure CROSS JOIN LATERAL unnest(ARRAY[ordered_us, shipped_us, invoiced_us, paid_us, settled_us, promised * 86400000000]) AS us
WHERE us IS NOT NULL;

-- The events, from the tables in which they are written down anyway. Changed tables of the past are taken over.
INSERT INTO installation_event (at, kind, what, about, text)
SELECT at, 'schema', kind, system || ': ' || table_name, what || '; ' || effect FROM schema_change ORDER BY id;

CREATE FUNCTION event_of_worker() RETURNS trigger LANGUAGE plpgsql AS '
BEGIN
    IF TG_OP = ''INSERT'' OR NEW.started_at <> OLD.started_at THEN
        INSERT INTO installation_event (at, kind, what, about, text)
        VALUES (NEW.started_at, ''worker'', CASE WHEN TG_OP = ''INSERT'' THEN ''started'' WHEN NEW.version <> OLD.version THEN ''deployed''
                WHEN OLD.stopped_at IS NULL THEN ''restarted'' ELSE ''started'' END, NEW.name, NEW.version);
    ELSIF NEW.stopped_at IS NOT NULL AND OLD.stopped_at IS NULL THEN
        INSERT INTO installation_event (kind, what, about, text) VALUES (''worker'', ''stopped'', NEW.name, NEW.version);
    END IF;
    RETURN NULL;
END';
CREATE TRIGGER worker_event AFTER INSERT OR UPDATE OF started_at, stopped_at ON worker FOR EACH ROW EXECUTE FUNCTION event_of_worker();

CREATE FUNCTION event_of_schema_change() RETURNS trigger LANGUAGE plpgsql AS '
BEGIN
    INSERT INTO installation_event (at, kind, what, about, text)
    VALUES (NEW.at, ''schema'', NEW.kind, NEW.system || '': '' || NEW.table_name, NEW.what || ''; '' || NEW.effect);
    RETURN NULL;
END';
CREATE TRIGGER schema_change_event AFTER INSERT ON schema_change FOR EACH ROW EXECUTE FUNCTION event_of_schema_change();

CREATE FUNCTION event_of_pause() RETURNS trigger LANGUAGE plpgsql AS '
BEGIN
    IF TG_OP = ''INSERT'' THEN
        INSERT INTO installation_event (kind, what, about, text) VALUES (''pause'', ''paused'', NEW.scope, concat_ws('': '', NEW.who, NEW.reason));
    ELSE
        INSERT INTO installation_event (kind, what, about, text) VALUES (''pause'', ''resumed'', OLD.scope, '''');
    END IF;
    RETURN NULL;
END';
CREATE TRIGGER writeback_pause_event AFTER INSERT OR DELETE ON writeback_pause FOR EACH ROW EXECUTE FUNCTION event_of_pause();

CREATE FUNCTION event_of_alert() RETURNS trigger LANGUAGE plpgsql AS '
BEGIN
    IF TG_OP = ''INSERT'' THEN
        INSERT INTO installation_event (at, kind, what, about, text, key)
        VALUES (NEW.since, ''alert'', ''opened'', NEW.name, NEW.what, ''opened/'' || NEW.name || ''/'' || NEW.since) ON CONFLICT (key) DO NOTHING;
    ELSE
        INSERT INTO installation_event (kind, what, about, text, key)
        VALUES (''alert'', ''closed'', OLD.name, OLD.what, ''closed/'' || OLD.name || ''/'' || OLD.since) ON CONFLICT (key) DO NOTHING;
    END IF;
    RETURN NULL;
END';
CREATE TRIGGER open_alert_event AFTER INSERT OR DELETE ON open_alert FOR EACH ROW EXECUTE FUNCTION event_of_alert();

CREATE FUNCTION event_of_source() RETURNS trigger LANGUAGE plpgsql AS '
BEGIN
    IF NEW.epoch <> OLD.epoch THEN
        INSERT INTO installation_event (kind, what, about, text) VALUES (''source'', ''epoch'', NEW.system, NEW.epoch::text);
    END IF;
    IF NEW.alarm IS NOT NULL AND NEW.alarm IS DISTINCT FROM OLD.alarm THEN
        INSERT INTO installation_event (kind, what, about, text) VALUES (''source'', ''stopped'', NEW.system, NEW.alarm);
    END IF;
    IF (NEW.resync_at IS NULL) <> (OLD.resync_at IS NULL) THEN
        INSERT INTO installation_event (kind, what, about)
        VALUES (''source'', CASE WHEN NEW.resync_at IS NULL THEN ''resync_ended'' ELSE ''resync_began'' END, NEW.system);
    END IF;
    RETURN NULL;
END';
CREATE TRIGGER source_state_event AFTER UPDATE ON source_state FOR EACH ROW
WHEN (NEW.epoch <> OLD.epoch OR NEW.alarm IS DISTINCT FROM OLD.alarm OR (NEW.resync_at IS NULL) <> (OLD.resync_at IS NULL))
EXECUTE FUNCTION event_of_source();

-- What people do to sources, tables and connectors.
CREATE FUNCTION event_of_person() RETURNS trigger LANGUAGE plpgsql AS '
BEGIN
    INSERT INTO installation_event (kind, what, about, text)
    VALUES (''person'', NEW.what, coalesce(NEW.about, NEW.wanted->>''system'', ''''), concat_ws('': '', NEW.who, nullif(NEW.why, '''')));
    RETURN NULL;
END';
CREATE TRIGGER audit_event AFTER UPDATE ON audit FOR EACH ROW
WHEN (NEW.result IS NOT NULL AND OLD.result IS NULL AND NEW.what ~ '(source|table|connector|snapshot|backfill|resync)')
EXECUTE FUNCTION event_of_person();
