-- Who may do what in the demo CRM, and what opshub needs in it. Run by the database's administrator after
-- schema.sql; may be run again. ${env:NAME} stands for a value of the environment (see `opshub up`).
--
--   crm_app            the CRM itself: reads and changes its data
--   opshub_capture     Debezium: streams and reads the published tables, writes its heartbeat and signals
--   opshub_writeback   what opshub gives back to the CRM: a few columns, under the replication origin `opshub`

DO $opshub$
DECLARE
    given record;
BEGIN
    FOR given IN SELECT * FROM (VALUES ('${env:DEMO_CRM_APP_USER}', '${env:DEMO_CRM_APP_PASSWORD}', 'NOREPLICATION'),
                                       ('${env:DEMO_CRM_CAPTURE_USER}', '${env:DEMO_CRM_CAPTURE_PASSWORD}', 'REPLICATION'),
                                       ('${env:DEMO_CRM_WRITEBACK_USER}', '${env:DEMO_CRM_WRITEBACK_PASSWORD}', 'NOREPLICATION'))
                         AS roles (name, password, replication)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = given.name) THEN
            EXECUTE format('CREATE ROLE %I', given.name);
        END IF;
        EXECUTE format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS %s PASSWORD %L',
                       given.name, given.replication, given.password);
    END LOOP;
END $opshub$;

REVOKE ALL ON DATABASE "${env:DEMO_CRM_DATABASE}" FROM PUBLIC;
GRANT CONNECT ON DATABASE "${env:DEMO_CRM_DATABASE}"
    TO "${env:DEMO_CRM_APP_USER}", "${env:DEMO_CRM_CAPTURE_USER}", "${env:DEMO_CRM_WRITEBACK_USER}";
GRANT USAGE ON SCHEMA public
    TO "${env:DEMO_CRM_APP_USER}", "${env:DEMO_CRM_CAPTURE_USER}", "${env:DEMO_CRM_WRITEBACK_USER}";

-- A row that is written now and then, so that the slot moves on while the CRM is idle.
CREATE TABLE IF NOT EXISTS opshub_heartbeat (
    id      integer PRIMARY KEY,
    beat_at timestamptz NOT NULL
);
-- Where a new snapshot of a table is asked for while the stream goes on (Debezium's signals).
CREATE TABLE IF NOT EXISTS opshub_signal (
    id   varchar(64) PRIMARY KEY,
    type varchar(32) NOT NULL,
    data varchar(4096)
);

-- The application.
GRANT SELECT, INSERT, UPDATE, DELETE
    ON account, contact, product, opportunity, opportunity_item, service_case, task, "Account-Tag" TO "${env:DEMO_CRM_APP_USER}";
GRANT USAGE ON SEQUENCE opportunity_number, service_case_number TO "${env:DEMO_CRM_APP_USER}";

-- Capture: exactly the tables that the publication names.
GRANT SELECT ON account, contact, product, opportunity, opportunity_item, service_case TO "${env:DEMO_CRM_CAPTURE_USER}";
GRANT SELECT, INSERT, UPDATE ON opshub_heartbeat TO "${env:DEMO_CRM_CAPTURE_USER}";
GRANT SELECT, INSERT, DELETE ON opshub_signal TO "${env:DEMO_CRM_CAPTURE_USER}";

-- Write-back: it looks up and reads back, and changes only what other systems master.
GRANT SELECT ON account, contact, product, opportunity, opportunity_item, task TO "${env:DEMO_CRM_WRITEBACK_USER}";
GRANT SELECT (id, erp_document_no, erp_document_status), UPDATE (erp_document_no, erp_document_status)
    ON service_case TO "${env:DEMO_CRM_WRITEBACK_USER}";
GRANT INSERT (opportunity_id, kind, subject, due_date, owner_name), UPDATE (subject, due_date, status) ON task TO "${env:DEMO_CRM_WRITEBACK_USER}";
GRANT UPDATE (erp_customer_no, credit_blocked, open_amount, overdue_amount) ON account TO "${env:DEMO_CRM_WRITEBACK_USER}";
GRANT UPDATE (erp_order_no, erp_order_status, shipment_status, payment_status, delivery_date, late_days, supply_status) ON opportunity TO "${env:DEMO_CRM_WRITEBACK_USER}";
GRANT INSERT (id, sku, name, description, family, unit, gtin, list_price, currency_iso_code, is_active),
      UPDATE (name, description, family, unit, gtin, list_price, currency_iso_code, is_active, stock_available)
    ON product TO "${env:DEMO_CRM_WRITEBACK_USER}";

DO $opshub$
DECLARE
    allowed text;
    published CONSTANT text := 'account, contact, product, opportunity, opportunity_item, service_case, opshub_heartbeat, opshub_signal';
BEGIN
    -- What write-back writes carries this mark, by which its echo is known.
    IF NOT EXISTS (SELECT FROM pg_replication_origin WHERE roname = 'opshub') THEN
        PERFORM pg_replication_origin_create('opshub');
    END IF;
    FOR allowed IN SELECT oid::regprocedure::text FROM pg_proc
                    WHERE pronamespace = 'pg_catalog'::regnamespace
                      AND proname IN ('pg_replication_origin_session_setup', 'pg_replication_origin_session_reset',
                                      'pg_replication_origin_session_is_setup', 'pg_replication_origin_session_progress',
                                      'pg_replication_origin_xact_setup')
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', allowed, '${env:DEMO_CRM_WRITEBACK_USER}');
    END LOOP;

    IF EXISTS (SELECT FROM pg_publication WHERE pubname = 'opshub_demo_crm') THEN
        EXECUTE 'ALTER PUBLICATION opshub_demo_crm SET TABLE ' || published;
    ELSE
        EXECUTE 'CREATE PUBLICATION opshub_demo_crm FOR TABLE ' || published;
    END IF;
END $opshub$;
