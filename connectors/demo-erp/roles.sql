-- Who may do what in the demo ERP, and what opshub needs in it. Run by the database's administrator after
-- schema.sql; may be run again. ${env:NAME} stands for a value of the environment (see `opshub up`).
--
--   erp_app            the ERP itself: reads and changes its data
--   opshub_capture     Debezium: streams and reads the published tables, writes its heartbeat and signals
--   opshub_writeback   what opshub gives to the ERP: customers and orders, under the replication origin `opshub`

DO $opshub$
DECLARE
    given record;
BEGIN
    FOR given IN SELECT * FROM (VALUES ('${env:DEMO_ERP_APP_USER}', '${env:DEMO_ERP_APP_PASSWORD}', 'NOREPLICATION'),
                                       ('${env:DEMO_ERP_CAPTURE_USER}', '${env:DEMO_ERP_CAPTURE_PASSWORD}', 'REPLICATION'),
                                       ('${env:DEMO_ERP_WRITEBACK_USER}', '${env:DEMO_ERP_WRITEBACK_PASSWORD}', 'NOREPLICATION'))
                         AS roles (name, password, replication)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = given.name) THEN
            EXECUTE format('CREATE ROLE %I', given.name);
        END IF;
        EXECUTE format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS %s PASSWORD %L',
                       given.name, given.replication, given.password);
    END LOOP;
END $opshub$;

REVOKE ALL ON DATABASE "${env:DEMO_ERP_DATABASE}" FROM PUBLIC;
GRANT CONNECT ON DATABASE "${env:DEMO_ERP_DATABASE}"
    TO "${env:DEMO_ERP_APP_USER}", "${env:DEMO_ERP_CAPTURE_USER}", "${env:DEMO_ERP_WRITEBACK_USER}";
GRANT USAGE ON SCHEMA erp TO "${env:DEMO_ERP_APP_USER}", "${env:DEMO_ERP_CAPTURE_USER}", "${env:DEMO_ERP_WRITEBACK_USER}";
GRANT USAGE ON SCHEMA public TO "${env:DEMO_ERP_CAPTURE_USER}";

-- A row that is written now and then, so that the slot moves on while the ERP is idle.
CREATE TABLE IF NOT EXISTS public.opshub_heartbeat (
    id      integer PRIMARY KEY,
    beat_at timestamptz NOT NULL
);
-- Where a new snapshot of a table is asked for while the stream goes on (Debezium's signals).
CREATE TABLE IF NOT EXISTS public.opshub_signal (
    id   varchar(64) PRIMARY KEY,
    type varchar(32) NOT NULL,
    data varchar(4096)
);

-- The application.
GRANT SELECT, INSERT, UPDATE, DELETE
    ON erp.cust, erp.item, erp.stock, erp.so_head, erp.so_line, erp.dlv_head, erp.dlv_line, erp.inv_head, erp.inv_line, erp.pay, erp.pterm,
       erp.supp, erp.po_head, erp.po_line, erp.gr_head, erp.gr_line, erp.sinv, erp.pr_head, erp.pr_line, erp.bom_head, erp.bom_line, erp.rsv, erp.mov,
       erp.ret_head, erp.ret_line, erp.rep, erp.inst, erp.ctr
    TO "${env:DEMO_ERP_APP_USER}";
GRANT USAGE ON ALL SEQUENCES IN SCHEMA erp TO "${env:DEMO_ERP_APP_USER}";

-- Capture: exactly the tables that the publication names.
GRANT SELECT ON erp.cust, erp.item, erp.stock, erp.so_head, erp.so_line, erp.dlv_head, erp.dlv_line, erp.inv_head, erp.inv_line, erp.pay,
       erp.supp, erp.po_head, erp.po_line, erp.gr_head, erp.gr_line, erp.sinv, erp.pr_head, erp.pr_line, erp.bom_head, erp.bom_line, erp.rsv, erp.mov,
       erp.ret_head, erp.ret_line, erp.rep, erp.inst, erp.ctr
    TO "${env:DEMO_ERP_CAPTURE_USER}";
GRANT SELECT, INSERT, UPDATE ON public.opshub_heartbeat TO "${env:DEMO_ERP_CAPTURE_USER}";
GRANT SELECT, INSERT, DELETE ON public.opshub_signal TO "${env:DEMO_ERP_CAPTURE_USER}";

-- Write-back: it looks up and reads back, adds customers and orders, and enters the CRM's id. Numbers, totals and
-- times are the triggers' business.
GRANT SELECT ON erp.cust, erp.item, erp.stock, erp.so_head, erp.so_line, erp.dlv_head, erp.dlv_line, erp.inv_head, erp.inv_line, erp.pay, erp.pterm,
       erp.supp, erp.po_head, erp.po_line, erp.gr_head, erp.gr_line, erp.sinv, erp.pr_head, erp.pr_line, erp.bom_head, erp.bom_line, erp.rsv, erp.mov,
       erp.ret_head, erp.ret_line, erp.rep, erp.inst, erp.ctr
    TO "${env:DEMO_ERP_WRITEBACK_USER}";
GRANT INSERT (short_name, name1, name2, vat_no, crm_ref, street, zip, city, region, ctry, phone, email, curr, lang, pay_terms, cred_lim, grp, slsman, memo),
      UPDATE (crm_ref)
    ON erp.cust TO "${env:DEMO_ERP_WRITEBACK_USER}";
GRANT INSERT (cust_id, crm_opp, crm_case, ext_ref, stat, ord_date, req_date, prom_date, curr, pay_terms, whs, slsman, po_no, memo, conf_ts, inco, shp_name, shp_street, shp_zip, shp_city, shp_ctry)
    ON erp.so_head TO "${env:DEMO_ERP_WRITEBACK_USER}";
GRANT INSERT (so_id, pos, item_id, descr, qty, uom, price, disc, tax_cd, req_date)
    ON erp.so_line TO "${env:DEMO_ERP_WRITEBACK_USER}";
-- It requests purchases and production, and enters returns; the ERP's own procedure writes credit notes.
GRANT INSERT (supp_id, kind, stat, ext_ref, req_date, net, whs) ON erp.po_head TO "${env:DEMO_ERP_WRITEBACK_USER}";
GRANT INSERT (po_id, pos, so_line_id, item_id, qty, uom, price, net) ON erp.po_line TO "${env:DEMO_ERP_WRITEBACK_USER}";
GRANT INSERT (item_id, stat, ext_ref, qty, uom, op_cnt, whs) ON erp.pr_head TO "${env:DEMO_ERP_WRITEBACK_USER}";
GRANT INSERT (pr_id, pos, so_line_id, item_id, qty, uom) ON erp.pr_line TO "${env:DEMO_ERP_WRITEBACK_USER}";
GRANT INSERT (so_id, cust_id, crm_case, ext_ref, stat, wish, reason, curr, net, whs, req_ts) ON erp.ret_head TO "${env:DEMO_ERP_WRITEBACK_USER}";
GRANT INSERT (ret_id, pos, so_line_id, item_id, qty, uom, serno) ON erp.ret_line TO "${env:DEMO_ERP_WRITEBACK_USER}";
REVOKE EXECUTE ON FUNCTION erp.credit_return(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erp.credit_return(bigint) TO "${env:DEMO_ERP_WRITEBACK_USER}";

DO $opshub$
DECLARE
    allowed text;
    published CONSTANT text := 'erp.cust, erp.item, erp.stock, erp.so_head, erp.so_line, erp.dlv_head, erp.dlv_line, '
                               'erp.inv_head, erp.inv_line, erp.pay, erp.supp, erp.po_head, erp.po_line, erp.gr_head, erp.gr_line, erp.sinv, '
                               'erp.pr_head, erp.pr_line, erp.bom_head, erp.bom_line, erp.rsv, erp.mov, erp.ret_head, erp.ret_line, erp.rep, '
                               'erp.inst, erp.ctr, public.opshub_heartbeat, public.opshub_signal';
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
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', allowed, '${env:DEMO_ERP_WRITEBACK_USER}');
    END LOOP;

    IF EXISTS (SELECT FROM pg_publication WHERE pubname = 'opshub_demo_erp') THEN
        EXECUTE 'ALTER PUBLICATION opshub_demo_erp SET TABLE ' || published;
    ELSE
        EXECUTE 'CREATE PUBLICATION opshub_demo_erp FOR TABLE ' || published;
    END IF;
END $opshub$;
