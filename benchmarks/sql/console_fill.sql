-- Records as the pipeline writes them, straight into the hub's tables: for the benchmark of the console (benchmarks/console.py). Parameters: `first` and
-- `last` number of this portion, `customers`, `products`, `now_us`. Ids are md5 of kind and number, so that statements refer to each other's records.

-- name: fill_customers
INSERT INTO entity (id, entity, aggregate_id, parent_id, merged_into, customer_ref, product_ref, version, revision, deleted, updated_us, record, contributions)
SELECT md5('customer' || n)::uuid, 'customer', md5('customer' || n)::uuid, NULL, NULL, NULL, NULL, 1 + n %% 5, 1 + n %% 5, false, %(now_us)s - n * 1000,
       jsonb_build_object('name', name, 'legal_name', name || ' ' || form, 'tax_id', country || (100000000 + n), 'email', 'office@' || domain, 'phone', '+4930' || (10000000 + n),
           'website', 'https://www.' || domain, 'industry', 'Manufacturing', 'status', 'active', 'currency', 'EUR', 'language', lower(country), 'credit_limit', 500000000,
           'credit_blocked', n %% 50 = 0, 'payment_terms_days', 30, 'owner', (ARRAY['Ben Koch', 'Ada Wolf', 'Lin Chen', 'Eva Roth'])[1 + n %% 4], 'segment', 'standard',
           'billing_street', 'Am Hafen ' || n %% 200, 'billing_city', (ARRAY['Berlin', 'Hamburg', 'Wien', '上海'])[1 + n %% 4], 'billing_postal_code', lpad((n %% 99999)::text, 5, '0'),
           'billing_country', country, 'notes', NULL, 'tags', '[]'::jsonb, 'created_at', %(now_us)s - n * 1000000, 'attributes', '{}'::jsonb),
       jsonb_build_object(md5('customer' || n)::uuid, jsonb_build_array('demo-crm', md5('customer' || n)::uuid, 0, 31144512 + n, 31172528 + n, %(now_us)s - n * 1000, false, NULL, NULL, true, (1237 + n)::text))
       || CASE WHEN n %% 2 = 0 THEN jsonb_build_object(md5('erp customer' || n)::uuid, jsonb_build_array('demo-erp', n::text, 0, 31144512 + n, 31172528 + n, %(now_us)s - n * 1000, false,
            jsonb_build_object('name', upper(name), 'credit_limit', 500000000, 'phone', '+4930' || (10000000 + n)))) ELSE '{}' END
FROM (SELECT n, country, form, 'c' || n || '.example' AS domain,
        CASE WHEN n %% 10 = 0 THEN (ARRAY['华东', '华南', '上海', '北方', '长江'])[1 + n / 10 %% 5] || (ARRAY['机械', '电子', '精密', '化工'])[1 + n / 50 %% 4] || n
             ELSE (ARRAY['Techno', 'Nord', 'Alpha', 'Metall', 'Hydro', 'Rhein', 'Acme', 'Kraft', 'Elbe', 'Vita'])[1 + n / 7 %% 10]
                  || (ARRAY['prima', 'wind', 'werk', 'bau', 'plast', 'tec', 'form', 'line'])[1 + n / 71 %% 8] || ' '
                  || (ARRAY['Verpackung', 'Maschinen', 'Logistik', 'Werkzeuge', 'Systems', 'Trading'])[1 + n / 577 %% 6] || ' ' || n END AS name
      FROM (SELECT n, (ARRAY['DE', 'AT', 'CN', 'FR'])[1 + n %% 4] AS country, (ARRAY['GmbH', 'AG', 'KG', 'SARL'])[1 + n %% 4] AS form
            FROM generate_series(%(first)s::bigint, %(last)s::bigint) n) numbered) named;

-- name: fill_contacts
INSERT INTO entity (id, entity, aggregate_id, parent_id, version, revision, deleted, updated_us, record, contributions)
SELECT md5('contact' || n)::uuid, 'contact', md5('customer' || n)::uuid, md5('customer' || n)::uuid, 1, 1, false, %(now_us)s - n * 1000,
       jsonb_build_object('customer_id', md5('customer' || n)::uuid, 'first_name', (ARRAY['Anna', 'Paul', 'Wei', 'Marie'])[1 + n %% 4], 'last_name',
           (ARRAY['Schmidt', 'Wang', 'Martin', 'Novak', 'Fischer'])[1 + n %% 5] || ' ' || n, 'email', 'p' || n || '@c' || n || '.example', 'phone', '+4940' || (20000000 + n), 'is_primary', true),
       jsonb_build_object(md5('contact' || n)::uuid, jsonb_build_array('demo-crm', md5('contact' || n)::uuid, 0, 31144512 + n, 31172528 + n, %(now_us)s - n * 1000, false, NULL))
FROM generate_series(%(first)s::bigint, %(last)s::bigint) n WHERE n %% 3 = 0
UNION ALL
SELECT md5('receivables' || n)::uuid, 'receivables', md5('customer' || n)::uuid, md5('customer' || n)::uuid, 3, 3, false, %(now_us)s - n * 1000,
       jsonb_build_object('customer_id', md5('customer' || n)::uuid, 'currency', 'EUR', 'open_amount', 11900000 * (n %% 9), 'overdue_amount', 11900000 * (n %% 3), 'oldest_due_date', 20700,
           'next_due_date', 20800, 'open_invoice_count', n %% 9, 'overdue_invoice_count', n %% 3, 'other_open_amounts', NULL, 'open_request_count', n %% 2), '{}'::jsonb
FROM generate_series(%(first)s::bigint, %(last)s::bigint) n WHERE n %% 3 = 1;

-- name: fill_products
INSERT INTO entity (id, entity, aggregate_id, parent_id, version, revision, deleted, updated_us, record, contributions)
SELECT md5('product' || n)::uuid, 'product', md5('product' || n)::uuid, NULL::uuid, 2, 2, false, %(now_us)s - n * 1000,
       jsonb_build_object('sku', 'P-' || lpad(n::text, 6, '0'), 'name', (ARRAY['Hex bolt', 'Bearing', '轴承', 'Valve', 'Pump'])[1 + n %% 5] || ' M' || n, 'unit', 'C62', 'list_price', 125000,
           'currency', 'EUR', 'kind', 'goods', 'active', true, 'available', 5000000),
       jsonb_build_object(md5('product' || n)::uuid, jsonb_build_array('demo-erp', n::text, 0, 31144512 + n, 31172528 + n, %(now_us)s - n * 1000, false, NULL))
FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
UNION ALL
SELECT md5('inventory' || n || ' ' || w)::uuid, 'inventory_level', md5('product' || n)::uuid, md5('product' || n)::uuid, 2, 2, false, %(now_us)s - n * 1000,
       jsonb_build_object('product_id', md5('product' || n)::uuid, 'warehouse', w, 'on_hand', 10000000, 'reserved', 2000000, 'available', 8000000),
       jsonb_build_object(md5('inventory' || n || ' ' || w)::uuid, jsonb_build_array('demo-erp', n || '|' || w, 0, 31144512 + n, 31172528 + n, %(now_us)s - n * 1000, false, NULL))
FROM generate_series(%(first)s::bigint, %(last)s::bigint) n, unnest(ARRAY['MUC', 'HAM']) w;

-- name: fill_flows
-- The joined record. One flow in fifty belongs to one of the fifty largest customers; three of four are finished. Each has been in its stage for a
-- little longer than the one before it.
INSERT INTO entity (id, entity, aggregate_id, version, revision, deleted, updated_us, record, contributions)
SELECT md5('flow' || n)::uuid, 'order_flow', md5('order' || n)::uuid, 1 + n %% 9, 1 + n %% 9, false, since, jsonb_build_object(
    'stage', stage, 'stage_since', since, 'customer_id', customer, 'currency', 'EUR', 'order_number', CASE WHEN stage NOT IN ('opportunity', 'won', 'lost') THEN 'SO' || lpad(n::text, 7, '0') END,
    'opportunity_number', CASE WHEN n %% 2 = 0 OR stage IN ('opportunity', 'won', 'lost') THEN 'OPP-' || n END, 'opportunity_id', CASE WHEN n %% 2 = 0 THEN md5('deal' || n)::uuid END,
    'sales_order_id', CASE WHEN stage NOT IN ('opportunity', 'won', 'lost') THEN md5('order' || n)::uuid END, 'order_status', 'confirmed', 'opportunity_stage', CASE WHEN n %% 2 = 0 THEN 'won' END,
    'ordered_amount', 10000000 + n %% 1000 * 10000, 'ordered_gross_amount', 11900000 + n %% 1000 * 11900, 'shipped_amount', 10000000, 'invoiced_amount', 11900000, 'invoiced_net_amount', 10000000,
    'paid_amount', CASE WHEN stage = 'paid' THEN 11900000 ELSE 0 END, 'open_amount', CASE WHEN stage IN ('invoiced', 'partially_paid') THEN 11900000 ELSE 0 END, 'settled_otherwise_amount', 0,
    'shipment_status', 'shipped', 'payment_status', CASE WHEN stage = 'paid' THEN 'paid' ELSE 'none' END, 'line_count', 2, 'shipment_count', 1, 'invoice_count', 1, 'payment_count', 1,
    'service_request_count', 0, 'promised_date', 20700 + n %% 100, 'won_at', since - 500000000000, 'ordered_at', since - 400000000000, 'shipped_at', since - 300000000000,
    'timeline', jsonb_build_array(
        jsonb_build_object('at', since - 400000000000, 'precision', 'time', 'what', 'order created', 'entity', 'sales_order', 'id', md5('order' || n)::uuid, 'system', 'demo-erp'),
        jsonb_build_object('at', since - 390000000000, 'precision', 'time', 'what', 'order confirmed', 'entity', 'sales_order', 'id', md5('order' || n)::uuid, 'system', 'demo-erp'),
        jsonb_build_object('at', since - 300000000000, 'precision', 'time', 'what', 'shipped', 'entity', 'shipment', 'id', md5('shipment' || n)::uuid, 'system', 'demo-erp'))), '{}'
FROM (SELECT n, %(now_us)s - n * 15000000 AS since, md5('customer' || CASE WHEN n %% 50 = 0 THEN 1 + n / 50 %% 50 ELSE 1 + n::bigint * 7919 %% %(customers)s END)::uuid AS customer,
        (ARRAY['opportunity', 'won', 'lost', 'draft', 'ordered', 'partially_shipped', 'shipped', 'delivered', 'invoiced', 'partially_paid', 'cancelled', 'ordered',
               'shipped', 'invoiced', 'credited', 'paid'])[1 + least(n %% 60, 15)] AS stage
      FROM generate_series(%(first)s::bigint, %(last)s::bigint) n) numbered;

-- name: fill_documents
-- Of every fourth flow: a search by number meets as many as it would, and the disk is spared.
INSERT INTO entity (id, entity, aggregate_id, parent_id, customer_ref, product_ref, order_line_ref, version, revision, deleted, updated_us, record, contributions)
SELECT id, entity, md5('order' || n)::uuid, parent, customer_ref, product_ref, order_line_ref, 2, 2, false, %(now_us)s - n * 15000000, record,
       jsonb_build_object(id, jsonb_build_array(system, entity || n, 0, 37729984 + n, 37730104 + n, %(now_us)s - n * 15000000, false, NULL, NULL, true, (1985 + n)::text))
FROM (SELECT n, md5('customer' || CASE WHEN n %% 50 = 0 THEN 1 + n / 50 %% 50 ELSE 1 + n::bigint * 7919 %% %(customers)s END)::uuid AS customer FROM generate_series(%(first)s::bigint, %(last)s::bigint) n WHERE n %% 4 < 1 OR n %% 20 = 1) numbered
CROSS JOIN LATERAL (
    SELECT md5('order' || n)::uuid AS id, 'sales_order' AS entity, 'demo-erp' AS system, CASE WHEN n %% 2 = 0 THEN md5('deal' || n)::uuid END AS parent, customer AS customer_ref, NULL::uuid AS product_ref,
           NULL::uuid AS order_line_ref, jsonb_build_object('number', 'SO' || lpad(n::text, 7, '0'), 'customer_id', customer, 'status', 'confirmed', 'currency', 'EUR', 'order_date', 20650,
           'promised_date', 20700, 'net_amount', 10000000, 'tax_amount', 1900000, 'gross_amount', 11900000, 'owner', 'Ben Koch', 'customer_reference', 'PO-' || n) AS record
    UNION ALL SELECT md5('deal' || n)::uuid, 'opportunity', 'demo-crm', NULL, customer, NULL, NULL, jsonb_build_object('number', 'OPP-' || n, 'name', 'Deal ' || n || ' pumps', 'customer_id', customer,
           'stage', 'won', 'amount', 10000000, 'currency', 'EUR', 'owner', 'Ada Wolf', 'probability', 100) WHERE n %% 2 = 0
    UNION ALL SELECT md5('shipment' || n)::uuid, 'shipment', 'demo-erp', md5('order' || n)::uuid, NULL, NULL, NULL, jsonb_build_object('number', 'DL' || lpad(n::text, 7, '0'), 'status', 'shipped',
           'sales_order_id', md5('order' || n)::uuid, 'carrier', 'DHL') WHERE n %% 2 = 0
    UNION ALL SELECT md5('invoice' || n)::uuid, 'invoice', 'demo-erp', md5('order' || n)::uuid, customer, NULL, NULL, jsonb_build_object('number', 'RE' || lpad(n::text, 7, '0'), 'kind', 'invoice',
           'customer_id', customer, 'status', 'open', 'currency', 'EUR', 'invoice_date', 20680, 'due_date', 20710, 'net_amount', 10000000, 'gross_amount', 11900000, 'open_amount', 11900000) WHERE n %% 3 = 1
    UNION ALL SELECT md5('payment' || n)::uuid, 'payment', 'demo-erp', md5('invoice' || n)::uuid, customer, NULL, NULL, jsonb_build_object('number', 'ZE' || lpad(n::text, 7, '0'), 'amount', 11900000,
           'currency', 'EUR', 'status', 'cleared') WHERE n %% 3 = 1
    UNION ALL SELECT md5('line' || n || ' ' || l)::uuid, 'sales_order_line', 'demo-erp', md5('order' || n)::uuid, NULL, md5('product' || 1 + (n + l) %% %(products)s)::uuid, NULL,
           jsonb_build_object('product_id', md5('product' || 1 + (n + l) %% %(products)s)::uuid, 'line_no', l, 'description', 'Hex bolt', 'quantity', 10000000, 'unit', 'C62', 'unit_price', 1000000,
           'net_amount', 5000000) FROM generate_series(1, 2) l WHERE n %% 20 = 1
    UNION ALL SELECT md5('request' || n)::uuid, 'service_request', 'demo-crm', md5('order' || n)::uuid, customer, NULL, NULL, jsonb_build_object('number', 'CASE-' || n, 'subject', 'Late', 'status', 'open',
           'customer_id', customer, 'sales_order_id', md5('order' || n)::uuid) WHERE n %% 40 = 0
) document;

-- name: fill_intents
INSERT INTO intent (key, rule, target, entity, entity_id, aggregate_id, subject_id, customer_id, version, cause_us, state, reasons, people, problem, request, result, created_at, done_at, expires_at)
SELECT 'k' || n, rule, split_part(rule, '/', 1), 'opportunity', md5('deal' || n)::uuid, md5('order' || n)::uuid, md5('deal' || n)::uuid,
       md5('customer' || CASE WHEN n %% 50 = 0 THEN 1 + n / 50 %% 50 ELSE 1 + n::bigint * 7919 %% %(customers)s END)::uuid, 1, %(now_us)s - n * 15000000, state,
       CASE WHEN state = 'waiting' THEN '[{"reason": "an order of more than 500,000", "people": 1, "amount": 6000000000, "currency": "EUR"}]'::jsonb ELSE '[]' END,
       CASE WHEN state = 'waiting' THEN 1 ELSE 0 END, CASE WHEN state IN ('dead', 'failed') THEN 'party is locked' END, '[{"insert": "so_head"}]', '{"order": {"id": 7, "number": "SO7"}}',
       now() - n * interval '15 seconds', CASE WHEN state NOT IN ('planned', 'waiting', 'approved', 'failed') THEN now() - n * interval '15 seconds' END, now() + interval '2 days'
FROM (SELECT n, (ARRAY['demo-erp/order_from_opportunity', 'demo-crm/order_status', 'demo-crm/receivables'])[1 + n %% 3] AS rule,
             CASE WHEN n %% 4000 = 0 THEN 'waiting' WHEN n %% 4000 = 1 THEN 'dead' WHEN n %% 4000 = 2 THEN 'failed' WHEN n %% 9 = 3 THEN 'superseded' ELSE 'delivered' END AS state
      FROM generate_series(%(first)s::bigint, %(last)s::bigint) n WHERE n %% 4 = 0 OR n %% 4000 < 3) numbered;

-- name: fill_conflicts
INSERT INTO conflict (id, aggregate_id, entity, entity_id, field, kind, asserted, winner, rule, outcome, seen_at, resolved_at)
SELECT md5('conflict' || n)::uuid, md5('customer' || n)::uuid, 'customer', md5('customer' || n)::uuid, (ARRAY['phone', 'credit_limit', 'billing_city'])[1 + n / 20 %% 3], 'disagreement',
       jsonb_build_object('demo-crm', jsonb_build_object('value', 'a' || n, 'us', %(now_us)s), 'demo-erp', jsonb_build_object('value', 'b' || n, 'us', %(now_us)s)), 'demo-crm', 'owner',
       CASE WHEN n %% 400 = 0 THEN 'open' WHEN n %% 40 = 0 THEN 'over' ELSE 'settled' END, now() - n * interval '30 seconds', CASE WHEN n %% 40 = 0 AND n %% 400 > 0 THEN now() END
FROM generate_series(%(first)s::bigint, %(last)s::bigint) n WHERE n %% 20 = 0;

-- name: fill_dead_letters
INSERT INTO dead_letter (topic, partition, position, key, value, stage, class, reason, state, seen_at)
SELECT 'raw.demo-erp.erp.' || (ARRAY['inv_head', 'so_head', 'cust'])[1 + n %% 3], n %% 4, n, convert_to('{"id":' || n || '}', 'UTF8'), convert_to('{"op":"c","after":{"id":' || n || ',"curr":"XAF"}}', 'UTF8'),
       'map', (ARRAY['LookupMissing', 'MappingError'])[1 + n %% 2], 'unknown currency X' || n %% 7, CASE WHEN n %% 10 = 0 THEN 'dead' ELSE 'retried' END, now() - n * interval '1 minute'
FROM generate_series(%(first)s::bigint, %(last)s::bigint) n;

-- name: fill_audit
INSERT INTO audit (at, who, what, via, about, why, wanted, result)
SELECT now() - n * interval '1 minute', (ARRAY['anna', 'ben', 'chen'])[1 + n %% 3], (ARRAY['approve_intent', 'retry_dead_letters', 'decide_conflict'])[1 + n %% 3], 'page', n::text, 'asked them', '{}', '{}'
FROM generate_series(%(first)s::bigint, %(last)s::bigint) n;
