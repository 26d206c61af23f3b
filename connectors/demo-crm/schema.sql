-- The demo CRM: database crm, schema public. A CRM of the usual make: UUID keys, snake_case, times with a
-- zone, rows that are marked deleted before (if ever) they are removed, stages and picklists as text that
-- people read, money beside a currency code. Applied by the database's owner; may be applied again.

CREATE SEQUENCE IF NOT EXISTS opportunity_number;
CREATE SEQUENCE IF NOT EXISTS service_case_number;

CREATE TABLE IF NOT EXISTS account (
    id                   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name                 text NOT NULL,
    legal_name           text,
    tax_id               text,
    email                text,
    phone                text,
    website              text,
    industry             text,
    tier                 text,
    status               text NOT NULL DEFAULT 'Prospect',
    currency_iso_code    varchar(3) NOT NULL DEFAULT 'EUR',
    language             text,
    billing_street       text,
    billing_city         text,
    billing_state        text,
    billing_postal_code  text,
    billing_country      text,
    shipping_street      text,
    shipping_city        text,
    shipping_state       text,
    shipping_postal_code text,
    shipping_country     text,
    erp_customer_no      text,
    credit_blocked       boolean NOT NULL DEFAULT false,
    owner_name           text,
    tags                 text[] NOT NULL DEFAULT '{}',
    notes                text,
    is_deleted           boolean NOT NULL DEFAULT false,
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE account IS 'A company that buys or may buy: canonical customer';
COMMENT ON COLUMN account.name IS 'Name in daily use, as typed: may hold double spaces and the legal suffix or not';
COMMENT ON COLUMN account.legal_name IS 'Registered name with its legal suffix';
COMMENT ON COLUMN account.tax_id IS 'VAT number as typed: with or without blanks, dots and dashes, any case (DE 811.569.869)';
COMMENT ON COLUMN account.email IS 'Any case, blanks around it possible';
COMMENT ON COLUMN account.phone IS 'As typed: +49 30 1234-567, 0049(30)1234567, 030/1234567 (then a number of billing_country)';
COMMENT ON COLUMN account.website IS 'With or without https://';
COMMENT ON COLUMN account.industry IS 'Picklist: Manufacturing, Wholesale, Retail, Construction, Logistics, Healthcare, Energy, Technology';
COMMENT ON COLUMN account.tier IS 'Picklist, the sales segment: Strategic, Key, Standard, Small';
COMMENT ON COLUMN account.status IS 'Picklist: Prospect, Active, Inactive';
COMMENT ON COLUMN account.currency_iso_code IS 'ISO 4217: EUR, USD, GBP, CHF, JPY, CNY';
COMMENT ON COLUMN account.language IS 'Locale with underscore: de_DE, en_US, fr_FR, zh_CN';
COMMENT ON COLUMN account.billing_country IS 'English name of the country, not a code: Germany, United Kingdom, China';
COMMENT ON COLUMN account.shipping_country IS 'English name of the country, not a code';
COMMENT ON COLUMN account.erp_customer_no IS 'erp.cust.cust_no of the same company (C000123) once somebody or write-back has entered it';
COMMENT ON COLUMN account.credit_blocked IS 'Shown to sales; mastered by the ERP (cust.blocked) and written back';
COMMENT ON COLUMN account.owner_name IS 'Sales person, full name';
COMMENT ON COLUMN account.tags IS 'Free labels, in the order in which people added them';
COMMENT ON COLUMN account.notes IS 'Wide free text, often stored out of line (TOAST): missing from events that do not touch it';
COMMENT ON COLUMN account.is_deleted IS 'In the recycle bin; the row may be removed later';
ALTER TABLE account ADD COLUMN IF NOT EXISTS open_amount numeric(18,2), ADD COLUMN IF NOT EXISTS overdue_amount numeric(18,2);
COMMENT ON COLUMN account.open_amount IS 'What the customer owes by the ERP''s invoices; written back';
COMMENT ON COLUMN account.overdue_amount IS 'Of open_amount, what is past its due date; written back';
CREATE INDEX IF NOT EXISTS account_name ON account (lower(name));
CREATE INDEX IF NOT EXISTS account_tax_id ON account (tax_id);
CREATE INDEX IF NOT EXISTS account_erp_customer_no ON account (erp_customer_no);

CREATE TABLE IF NOT EXISTS contact (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid NOT NULL REFERENCES account (id),
    first_name text,
    last_name  text NOT NULL,
    email      text,
    phone      text,
    title      text,
    language   text,
    is_primary boolean NOT NULL DEFAULT false,
    notes      text,
    is_deleted boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE contact IS 'A person who works for an account: canonical contact';
COMMENT ON COLUMN contact.phone IS 'As typed, like account.phone';
COMMENT ON COLUMN contact.title IS 'Job title';
COMMENT ON COLUMN contact.language IS 'Locale with underscore, like account.language';
CREATE INDEX IF NOT EXISTS contact_account_id ON contact (account_id);

CREATE TABLE IF NOT EXISTS product (
    id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    sku               text NOT NULL UNIQUE,
    name              text NOT NULL,
    description       text,
    family            text,
    unit              text NOT NULL DEFAULT 'pcs',
    gtin              text,
    list_price        numeric(18,2),
    currency_iso_code varchar(3) NOT NULL DEFAULT 'EUR',
    is_active         boolean NOT NULL DEFAULT true,
    is_deleted        boolean NOT NULL DEFAULT false,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE product IS 'Price-book copy of what the ERP sells: canonical product';
COMMENT ON COLUMN product.sku IS 'Equal to erp.item.item_no (M-10001)';
COMMENT ON COLUMN product.family IS 'Picklist: Fasteners, Bearings, Drives, Sensors, Tools, Services (ERP groups 10..60)';
COMMENT ON COLUMN product.unit IS 'pcs, kg, m, h';
COMMENT ON COLUMN product.gtin IS 'EAN-13 / GTIN, 13 digits';
COMMENT ON COLUMN product.list_price IS 'Net price for one unit in currency_iso_code; two decimals where the ERP has five';
ALTER TABLE product ADD COLUMN IF NOT EXISTS stock_available numeric(18,6);
COMMENT ON COLUMN product.stock_available IS 'What can still be promised, over all warehouses of the ERP; written back';

CREATE TABLE IF NOT EXISTS opportunity (
    id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    number             text NOT NULL UNIQUE DEFAULT 'OPP-' || lpad(nextval('opportunity_number')::text, 6, '0'),
    name               text NOT NULL,
    account_id         uuid NOT NULL REFERENCES account (id),
    primary_contact_id uuid,
    stage              text NOT NULL DEFAULT 'Prospecting',
    probability        integer NOT NULL DEFAULT 10,
    amount             numeric(18,2),
    currency_iso_code  varchar(3) NOT NULL DEFAULT 'EUR',
    close_date         date,
    won_at             timestamptz,
    lost_reason        text,
    owner_name         text,
    lead_source        text,
    next_step          text,
    erp_order_no       text,
    erp_order_status   text,
    shipment_status    text,
    payment_status     text,
    description        text,
    is_deleted         boolean NOT NULL DEFAULT false,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE opportunity IS 'A deal: canonical opportunity';
COMMENT ON COLUMN opportunity.stage IS 'Prospecting, Qualification, Proposal/Quote, Negotiation/Review, Closed Won, Closed Lost';
COMMENT ON COLUMN opportunity.probability IS 'Percent, 0 to 100';
COMMENT ON COLUMN opportunity.amount IS 'Net total in currency_iso_code; sum of the items once there are some, else an estimate';
COMMENT ON COLUMN opportunity.close_date IS 'Expected, then real, day of the decision';
ALTER TABLE opportunity ADD COLUMN IF NOT EXISTS lost_at timestamptz;
COMMENT ON COLUMN opportunity.lost_at IS 'When it was lost; empty unless Closed Lost';
COMMENT ON COLUMN opportunity.lost_reason IS 'Price, Competitor, No budget, No decision; empty unless Closed Lost';
COMMENT ON COLUMN opportunity.lead_source IS 'Web, Referral, Trade show, Cold call, Partner';
COMMENT ON COLUMN opportunity.next_step IS 'Free text of the sales person';
COMMENT ON COLUMN opportunity.erp_order_no IS 'erp.so_head.so_no of the order made from this deal; written back';
COMMENT ON COLUMN opportunity.erp_order_status IS 'Canonical sales order status; written back';
COMMENT ON COLUMN opportunity.shipment_status IS 'none, nothing_to_ship, partially_shipped, shipped_in_part_or_whole, shipped, delivered; written back';
COMMENT ON COLUMN opportunity.payment_status IS 'none, invoiced, partially_paid, paid, credited, overpaid; written back';
ALTER TABLE opportunity ADD COLUMN IF NOT EXISTS delivery_date date, ADD COLUMN IF NOT EXISTS late_days integer, ADD COLUMN IF NOT EXISTS supply_status text;
COMMENT ON COLUMN opportunity.delivery_date IS 'Day on which the last of the goods is expected, by suppliers and shop floor; written back';
COMMENT ON COLUMN opportunity.late_days IS 'Days by which some of the goods come after the promised day; empty where none do; written back';
COMMENT ON COLUMN opportunity.supply_status IS 'short, requested, on_order, partly_available, available, shipped; written back';
COMMENT ON COLUMN opportunity.description IS 'Wide free text';
CREATE INDEX IF NOT EXISTS opportunity_account_id ON opportunity (account_id);
CREATE INDEX IF NOT EXISTS opportunity_stage ON opportunity (stage) WHERE NOT is_deleted;

CREATE TABLE IF NOT EXISTS opportunity_item (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    opportunity_id uuid NOT NULL REFERENCES opportunity (id) ON DELETE CASCADE,
    product_id     uuid NOT NULL REFERENCES product (id),
    line_no        integer NOT NULL,
    description    text,
    quantity       numeric(12,3) NOT NULL,
    unit           text NOT NULL DEFAULT 'pcs',
    unit_price     numeric(18,2) NOT NULL,
    discount_pct   numeric(5,2) NOT NULL DEFAULT 0,
    net_amount     numeric(18,2) NOT NULL,
    is_deleted     boolean NOT NULL DEFAULT false,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE opportunity_item IS 'What is offered: canonical opportunity_line';
COMMENT ON COLUMN opportunity_item.discount_pct IS 'Percent, 0 to 100';
COMMENT ON COLUMN opportunity_item.net_amount IS 'quantity * unit_price less discount, rounded to the cent by the CRM';
CREATE INDEX IF NOT EXISTS opportunity_item_opportunity_id ON opportunity_item (opportunity_id);

CREATE TABLE IF NOT EXISTS service_case (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    case_number  text NOT NULL UNIQUE DEFAULT 'CS-' || lpad(nextval('service_case_number')::text, 6, '0'),
    account_id   uuid NOT NULL REFERENCES account (id),
    contact_id   uuid,
    product_id   uuid,
    erp_order_no text,
    subject      text NOT NULL,
    description  text,
    status       text NOT NULL DEFAULT 'New',
    priority     text NOT NULL DEFAULT 'Medium',
    owner_name   text,
    opened_at    timestamptz NOT NULL DEFAULT now(),
    closed_at    timestamptz,
    is_deleted   boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE service_case IS 'A complaint or a question: canonical service_request';
COMMENT ON COLUMN service_case.erp_order_no IS 'erp.so_head.so_no as the agent typed it; often empty';
COMMENT ON COLUMN service_case.status IS 'New, Working, Waiting on Customer, Resolved, Closed';
COMMENT ON COLUMN service_case.priority IS 'Low, Medium, High, Urgent';
ALTER TABLE service_case ADD COLUMN IF NOT EXISTS kind text NOT NULL DEFAULT 'Question', ADD COLUMN IF NOT EXISTS erp_order_id bigint,
    ADD COLUMN IF NOT EXISTS quantity numeric(12,3), ADD COLUMN IF NOT EXISTS serial_number text, ADD COLUMN IF NOT EXISTS contacts integer NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS erp_document_no text, ADD COLUMN IF NOT EXISTS erp_document_status text;
COMMENT ON COLUMN service_case.kind IS 'Picklist: Question, Complaint, Return, Repair, Spare Part';
COMMENT ON COLUMN service_case.erp_order_id IS 'erp.so_head.id of the order that the agent chose from the customer''s orders; empty for a case without one';
COMMENT ON COLUMN service_case.quantity IS 'How much of the product comes back or is wanted';
COMMENT ON COLUMN service_case.serial_number IS 'Of the piece, as the customer names it';
COMMENT ON COLUMN service_case.contacts IS 'How often we had to do with it';
COMMENT ON COLUMN service_case.erp_document_no IS 'Number of the return, or of the order for the spare part, in the ERP; written back';
COMMENT ON COLUMN service_case.erp_document_status IS 'How far that return or order is: canonical status; written back';
CREATE INDEX IF NOT EXISTS service_case_account_id ON service_case (account_id);

CREATE TABLE IF NOT EXISTS task (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    opportunity_id uuid NOT NULL REFERENCES opportunity (id) ON DELETE CASCADE,
    kind           text NOT NULL DEFAULT 'Follow up',
    subject        text NOT NULL,
    status         text NOT NULL DEFAULT 'Open',
    due_date       date,
    owner_name     text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE task IS 'What somebody is to do about an opportunity; not captured';
COMMENT ON COLUMN task.kind IS 'Follow up, Late delivery (by write-back: at most one that is open for each opportunity)';
COMMENT ON COLUMN task.status IS 'Open, Done';
CREATE INDEX IF NOT EXISTS task_opportunity_id ON task (opportunity_id);
CREATE UNIQUE INDEX IF NOT EXISTS task_open_delivery ON task (opportunity_id) WHERE kind = 'Late delivery' AND status = 'Open';

-- A table that the dictionary does not read, named as other people name tables.
CREATE TABLE IF NOT EXISTS "Account-Tag" (
    "Account-Id" uuid NOT NULL,
    "Tag"        text NOT NULL,
    "Added-By"   text,
    PRIMARY KEY ("Account-Id", "Tag")
);

CREATE OR REPLACE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON contact FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON product FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON opportunity FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON opportunity_item FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON service_case FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON task FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
