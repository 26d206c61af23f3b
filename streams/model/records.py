"""The canonical records, typed: a class for each schema. Written by streams/model/generate.py; do not edit.

In: what an Avro library read. Out: frozen records.

    from streams.model import SalesOrder
    order = SalesOrder.from_avro(value)
    order.gross_amount  # Decimal("1190.0000")
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from streams.model.record import Record


class Source(Record, frozen=True, kw_only=True):
    """A row in a captured system from which the record was made."""

    system: str
    """Name of the system: its folder in connectors/."""
    key: str
    """Key of the row there, as text; the parts of a composite key are joined by '|'."""


class BillOfMaterialsLine(Record, frozen=True, kw_only=True):
    """One component of a product, and how much of it."""

    id: UUID
    """Canonical id of the line."""
    product_id: UUID | None = None
    """The component."""
    line_no: int | None = None
    """Number of the line in its document, from 1 up; gaps are possible."""
    quantity: Decimal | None = None
    """How much of it is needed, in `unit`."""
    unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit of quantity."""
    scrap_pct: Decimal | None = None
    """How much more is needed because some fails, in percent."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class BillOfMaterials(Record, frozen=True, kw_only=True):
    """What a product is made of. Mastered by the ERP."""

    id: UUID
    """Canonical id of the bill of materials; the Kafka key of its records. Deterministic: UUIDv5 of
    system, entity and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    product_id: UUID | None = None
    """The product that is made, or the kit that is sold."""
    number: str | None = None
    """Number or version of the bill of materials."""
    kind: str | None = None
    """A kit is sold as one line and shipped in parts."""
    quantity: Decimal | None = None
    """How much of the product the lines make, in `unit`."""
    unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit of quantity."""
    is_active: bool | None = None
    """False where it is no longer used."""
    valid_from: date | None = None
    """First day on which it is used."""
    valid_to: date | None = None
    """Last day on which it is used."""
    owner: str | None = None
    """Member of our staff who looks after the bill of materials."""
    notes: str | None = None
    """Free text written by staff; may name people."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the bill of materials, in the order of the source."""
    created_at: datetime | None = None
    """When the bill of materials was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """
    lines: tuple[BillOfMaterialsLine, ...] = ()
    """The lines of the bill of materials, by line number and then by id."""


class Contact(Record, frozen=True, kw_only=True):
    """A person at a customer with whom our staff speaks."""

    id: UUID
    """Canonical id of the contact; the Kafka key of its records. Deterministic: UUIDv5 of system, entity
    and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    customer_id: UUID | None = None
    """The customer for which the person works."""
    first_name: str | None = None
    """Given name."""
    last_name: str | None = None
    """Family name; the whole name where the source has but one column for it."""
    email: str | None = None
    """E-mail address, lower case in its domain."""
    phone: str | None = None
    """Phone number in E.164, such as +4930123456."""
    job_title: str | None = None
    """What the person is at the customer, such as Head of Purchasing."""
    language: str | None = None
    """ISO 639-1 code of the language in which the person is addressed."""
    is_primary: bool | None = None
    """True for the person to be asked first at this customer."""
    notes: str | None = None
    """Free text written by staff; may name people."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the contact, in the order of the source."""
    created_at: datetime | None = None
    """When the contact was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class Contract(Record, frozen=True, kw_only=True):
    """A warranty or service contract of a customer."""

    id: UUID
    """Canonical id of the contract; the Kafka key of its records. Deterministic: UUIDv5 of system, entity
    and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    number: str | None = None
    """Number of the contract."""
    customer_id: UUID | None = None
    """The customer who has it."""
    kind: str | None = None
    """What it promises."""
    status: str | None = None
    """Whether it holds."""
    product_id: UUID | None = None
    """The product that it covers; empty where it covers all."""
    installed_item_id: UUID | None = None
    """The piece that it covers."""
    coverage: str | None = None
    """What it covers, in the words of its system."""
    response_hours: int | None = None
    """Hours within which a request is to be answered."""
    valid_from: date | None = None
    """First day on which it holds."""
    valid_to: date | None = None
    """Last day on which it holds; empty without an end."""
    currency: str | None = None
    """ISO 4217 code of the currency of all amounts of this record, such as EUR or CNY."""
    net_amount: Decimal | None = None
    """What it costs the customer a year, without tax, in `currency`."""
    owner: str | None = None
    """Member of our staff who looks after the contract."""
    notes: str | None = None
    """Free text written by staff; may name people."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the contract, in the order of the source."""
    created_at: datetime | None = None
    """When the contract was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class Customer(Record, frozen=True, kw_only=True):
    """A company or person that buys, or may buy. Prospects that have not bought yet are customers too."""

    id: UUID
    """Canonical id of the customer; the Kafka key of its records. Deterministic: UUIDv5 of system, entity
    and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    name: str
    """Name by which the customer is known in daily business. From the CRM, else from the ERP."""
    legal_name: str | None = None
    """Full name in the commercial register, with its legal form. Usually from the ERP."""
    tax_id: str | None = None
    """Tax registration, without blanks: VAT number with country prefix, 统一社会信用代码, EIN. Usually from the
    ERP.
    """
    email: str | None = None
    """Main e-mail address, lower case in its domain. Usually from the CRM."""
    phone: str | None = None
    """Main phone number in E.164, such as +4930123456. Usually from the CRM."""
    website: str | None = None
    """Address of the web site, with scheme."""
    industry: str | None = None
    """Branch of industry, in the words of its system."""
    status: str | None = None
    """State of the account, in the words of its system, such as prospect, active, inactive."""
    currency: str | None = None
    """ISO 4217 code of the currency in which the customer is invoiced by default, and of credit_limit."""
    language: str | None = None
    """ISO 639-1 code of the language for correspondence, such as de or zh."""
    credit_limit: Decimal | None = None
    """Greatest open amount that is allowed, in `currency`. Mastered by the ERP."""
    credit_blocked: bool | None = None
    """True while new orders are not to be accepted for reasons of credit. Mastered by the ERP."""
    open_amount: Decimal | None = None
    """What the customer owes, as shown in a system that write-back keeps current. The hub's own figure is
    in the record receivables.
    """
    overdue_amount: Decimal | None = None
    """Of open_amount, what is past its due date, as shown in a system that write-back keeps current."""
    payment_terms_days: int | None = None
    """Days from invoice date to due date that are agreed with the customer. Mastered by the ERP."""
    owner: str | None = None
    """Member of our staff who looks after the customer. Mastered by the CRM."""
    segment: str | None = None
    """Group into which marketing and sales put the customer. Mastered by the CRM."""
    billing_street: str | None = None
    """Street, house number and further address lines to which invoices go; lines are separated by a line
    feed. Mastered by the ERP.
    """
    billing_city: str | None = None
    """City or town to which invoices go."""
    billing_region: str | None = None
    """State, province or region to which invoices go, as the source writes it."""
    billing_postal_code: str | None = None
    """Postal code to which invoices go, as text: leading zeros count."""
    billing_country: str | None = None
    """ISO 3166-1 alpha-2 code of the country to which invoices go, such as DE or CN."""
    shipping_street: str | None = None
    """Street, house number and further address lines to which goods go by default; lines are separated by
    a line feed. Mastered by the CRM.
    """
    shipping_city: str | None = None
    """City or town to which goods go by default."""
    shipping_region: str | None = None
    """State, province or region to which goods go by default, as the source writes it."""
    shipping_postal_code: str | None = None
    """Postal code to which goods go by default, as text: leading zeros count."""
    shipping_country: str | None = None
    """ISO 3166-1 alpha-2 code of the country to which goods go by default, such as DE or CN."""
    notes: str | None = None
    """Free text written by staff; may name people."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the customer, in the order of the source."""
    created_at: datetime | None = None
    """When the customer was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class GoodsReceiptLine(Record, frozen=True, kw_only=True):
    """What of one purchase order line came with a receipt."""

    id: UUID
    """Canonical id of the line."""
    purchase_order_line_id: UUID | None = None
    """The purchase order line that is received with it."""
    product_id: UUID | None = None
    """The product that came."""
    line_no: int | None = None
    """Number of the line in its document, from 1 up; gaps are possible."""
    description: str | None = None
    """What came, as text."""
    quantity: Decimal | None = None
    """How much came, in `unit`."""
    unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit of quantity."""
    base_quantity: Decimal | None = None
    """The same quantity in base_unit, as its system converts it."""
    base_unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit in which the product is stocked."""
    rejected_quantity: Decimal | None = None
    """How much of it was refused, in `unit`."""
    lot: str | None = None
    """Lot or batch number of the goods."""
    serial_number: str | None = None
    """Serial number of the goods, for a single piece."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class GoodsReceipt(Record, frozen=True, kw_only=True):
    """Goods that came from a supplier: one receipt. Mastered by the ERP."""

    id: UUID
    """Canonical id of the goods receipt; the Kafka key of its records. Deterministic: UUIDv5 of system,
    entity and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    number: str | None = None
    """Number of the receipt."""
    purchase_order_id: UUID | None = None
    """The purchase order by which the goods were bought."""
    supplier_id: UUID | None = None
    """The supplier that delivered."""
    status: str | None = None
    """How far the receipt is."""
    warehouse: str | None = None
    """Code of the warehouse that took the goods in."""
    delivery_note: str | None = None
    """Number of the supplier's delivery note."""
    received_at: datetime | None = None
    """When the goods came in."""
    owner: str | None = None
    """Member of our staff who looks after the goods receipt."""
    notes: str | None = None
    """Free text written by staff; may name people."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the goods receipt, in the order of the source."""
    created_at: datetime | None = None
    """When the goods receipt was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """
    lines: tuple[GoodsReceiptLine, ...] = ()
    """The lines of the goods receipt, by line number and then by id."""


class InstalledItem(Record, frozen=True, kw_only=True):
    """A piece (by serial number) or a lot that a customer has from us."""

    id: UUID
    """Canonical id of the installed item; the Kafka key of its records. Deterministic: UUIDv5 of system,
    entity and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    number: str | None = None
    """Number of the item, as its system gives it."""
    customer_id: UUID | None = None
    """The customer who has it."""
    product_id: UUID | None = None
    """The product that it is."""
    sales_order_id: UUID | None = None
    """The order by which it was sold; empty where nobody knows it."""
    shipment_id: UUID | None = None
    """The shipment with which it was delivered."""
    serial_number: str | None = None
    """Serial number, for a single piece."""
    lot: str | None = None
    """Lot or batch number."""
    quantity: Decimal | None = None
    """How many pieces of a lot there are."""
    status: str | None = None
    """Whether it is in use."""
    warranty_until: date | None = None
    """Last day of the warranty."""
    installed_on: date | None = None
    """Day on which it was put into use."""
    location: str | None = None
    """Where it stands, in the words of its system."""
    owner: str | None = None
    """Member of our staff who looks after the installed item."""
    notes: str | None = None
    """Free text written by staff; may name people."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the installed item, in the order of the source."""
    created_at: datetime | None = None
    """When the installed item was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class InventoryLevel(Record, frozen=True, kw_only=True):
    """Stock of one product in one warehouse. Mastered by the ERP."""

    id: UUID
    """Canonical id of the stock level; the Kafka key of its records. Deterministic: UUIDv5 of system,
    entity and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    product_id: UUID | None = None
    """The product of which this is the stock."""
    warehouse: str
    """Code of the warehouse or of the place in it."""
    lot: str | None = None
    """Lot or batch of the goods, where stock is kept by lot: then each lot is a record."""
    on_hand: Decimal | None = None
    """What lies there, in the product's unit; may be negative where bookings run ahead of counting."""
    reserved: Decimal | None = None
    """Of on_hand, what is promised to orders, in the product's unit."""
    available: Decimal | None = None
    """What can still be promised, in the product's unit, as the ERP computes it (usually on_hand less
    reserved).
    """
    reorder_point: Decimal | None = None
    """Stock below which more is to be ordered, in the product's unit."""
    counted_at: datetime | None = None
    """When the stock was last counted by a person."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class InvoiceLine(Record, frozen=True, kw_only=True):
    """What of one order line, or of one free position, is billed."""

    id: UUID
    """Canonical id of the line."""
    order_line_id: UUID | None = None
    """The order line that is billed by it; empty for what was not ordered."""
    product_id: UUID | None = None
    """The product that is billed; empty for a free position such as freight."""
    line_no: int | None = None
    """Number of the line in its document, from 1 up; gaps are possible."""
    description: str | None = None
    """What is billed, as text."""
    kind: str | None = None
    """What the line is: only goods are held against shipments. Empty: as the order line, else as for a
    line of an order.
    """
    quantity: Decimal | None = None
    """How much, in `unit`."""
    unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit of quantity and price."""
    unit_price: Decimal | None = None
    """Price of one unit before discount, without tax, in the invoice's currency."""
    discount_pct: Decimal | None = None
    """Discount in percent of the price: 5 is 5 %."""
    discount_amount: Decimal | None = None
    """Discount of the line, without tax, in the invoice's currency; positive."""
    tax_rate: Decimal | None = None
    """Rate of sales tax in percent: 19 is 19 %."""
    tax_amount: Decimal | None = None
    """Tax on net_amount, in the invoice's currency."""
    net_amount: Decimal | None = None
    """Amount of the line after discount, without tax, in the invoice's currency."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class Invoice(Record, frozen=True, kw_only=True):
    """A bill to the customer, or a credit note. Mastered by the ERP."""

    id: UUID
    """Canonical id of the invoice; the Kafka key of its records. Deterministic: UUIDv5 of system, entity
    and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    number: str | None = None
    """Invoice number, as the ERP gives it."""
    kind: str | None = None
    """An ordinary invoice, or one that gives money back; the amounts of both are positive."""
    sales_order_id: UUID | None = None
    """The order that is billed."""
    customer_id: UUID | None = None
    """The customer who is to pay."""
    corrects_invoice_id: UUID | None = None
    """The invoice that is corrected by it, for a credit note."""
    status: str | None = None
    """How far the invoice is."""
    invoice_date: date | None = None
    """Day of the invoice, from which the terms of payment run."""
    delivery_date: date | None = None
    """Day on which the goods were delivered or the work was done, as it counts for tax."""
    due_date: date | None = None
    """Day by which it is to be paid."""
    payment_terms_days: int | None = None
    """Days from invoice date to due date."""
    currency: str | None = None
    """ISO 4217 code of the currency of all amounts of this record, such as EUR or CNY."""
    base_currency: str | None = None
    """ISO 4217 code of the currency in which the company's books are kept."""
    exchange_rate: Decimal | None = None
    """What one unit of `currency` is worth in `base_currency`, as the invoice was booked."""
    exchange_rate_date: date | None = None
    """Day of that rate."""
    discount_pct: Decimal | None = None
    """Discount on the whole invoice, beside those of its lines, in percent of these: 5 is 5 %;
    discount_amount is what counts.
    """
    discount_amount: Decimal | None = None
    """Discount on the whole invoice, beside those of its lines, without tax, in `currency`; positive."""
    freight_amount: Decimal | None = None
    """Freight and other charges on the whole invoice that are no line of it, without tax, in `currency`."""
    net_amount: Decimal | None = None
    """Amount without tax: the lines, less discount_amount, and freight_amount; in `currency`, as in the
    ERP.
    """
    tax_amount: Decimal | None = None
    """Tax, in `currency`."""
    gross_amount: Decimal | None = None
    """Amount to be paid: net and tax together, in `currency`."""
    open_amount: Decimal | None = None
    """What is still to be paid, in `currency`, as in the ERP."""
    billing_name: str | None = None
    """Name of the company or person to whom the invoice goes. Empty, like the rest of the address, where
    it is the customer's.
    """
    billing_street: str | None = None
    """Street, house number and further address lines to which the invoice goes; lines are separated by a
    line feed.
    """
    billing_city: str | None = None
    """City or town to which the invoice goes."""
    billing_region: str | None = None
    """State, province or region to which the invoice goes, as the source writes it."""
    billing_postal_code: str | None = None
    """Postal code to which the invoice goes, as text: leading zeros count."""
    billing_country: str | None = None
    """ISO 3166-1 alpha-2 code of the country to which the invoice goes, such as DE or CN."""
    owner: str | None = None
    """Member of our staff who looks after the invoice."""
    customer_reference: str | None = None
    """The customer's own number for the order that is billed."""
    notes: str | None = None
    """Free text written by staff; may name people."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the invoice, in the order of the source."""
    created_at: datetime | None = None
    """When the invoice was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """
    lines: tuple[InvoiceLine, ...] = ()
    """The lines of the invoice, by line number and then by id; empty where its system does not give them."""


class OpportunityLine(Record, frozen=True, kw_only=True):
    """One product, or one free position, of an opportunity."""

    id: UUID
    """Canonical id of the line."""
    product_id: UUID | None = None
    """The product that is offered; empty for a free position."""
    line_no: int | None = None
    """Number of the line in its document, from 1 up; gaps are possible."""
    description: str | None = None
    """What is offered, as text."""
    quantity: Decimal | None = None
    """How much, in `unit`."""
    unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit of quantity and price."""
    unit_price: Decimal | None = None
    """Price of one unit before discount, without tax, in the document's currency."""
    discount_pct: Decimal | None = None
    """Discount in percent of the price: 5 is 5 %."""
    net_amount: Decimal | None = None
    """Amount of the line after discount, without tax, in the document's currency."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class Opportunity(Record, frozen=True, kw_only=True):
    """A deal that sales works on, up to its being won or lost. Mastered by the CRM; what became of the
    order comes from the ERP and is shown here.
    """

    id: UUID
    """Canonical id of the opportunity; the Kafka key of its records. Deterministic: UUIDv5 of system,
    entity and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    number: str | None = None
    """Number by which people call the opportunity, as the CRM gives it."""
    name: str | None = None
    """Title of the deal."""
    customer_id: UUID | None = None
    """The customer who may buy."""
    contact_id: UUID | None = None
    """The person at the customer who speaks for the deal."""
    stage: str | None = None
    """How far the deal is."""
    probability: int | None = None
    """Likelihood of winning in whole percent, 0 to 100, as sales sees it."""
    amount: Decimal | None = None
    """Expected value without tax, in `currency`."""
    currency: str | None = None
    """ISO 4217 code of the currency of all amounts of this record, such as EUR or CNY."""
    expected_close: date | None = None
    """Day on which sales expects the customer's decision."""
    won_at: datetime | None = None
    """When the deal was won; empty unless stage is won."""
    lost_at: datetime | None = None
    """When the deal was lost; empty unless stage is lost."""
    lost_reason: str | None = None
    """Why the deal was lost, in the words of the CRM."""
    owner: str | None = None
    """Member of our staff who works on the deal."""
    source: str | None = None
    """What brought the deal about, such as web, fair or referral."""
    order_number: str | None = None
    """Number of the sales order that it became. Mastered by the ERP and written back to the CRM."""
    order_status: str | None = None
    """Status of that order, as sales_order.status. Mastered by the ERP and written back to the CRM."""
    shipment_status: str | None = None
    """How far delivery is, as order_flow.shipment_status. Mastered by the ERP and written back to the CRM."""
    payment_status: str | None = None
    """How far payment is, as order_flow.payment_status. Mastered by the ERP and written back to the CRM."""
    delivery_date: date | None = None
    """Day on which the last of the goods is expected, as order_flow.expected_date. Written back to the
    CRM.
    """
    late_days: int | None = None
    """Days by which goods come after the promised day, as order_flow.late_days. Written back to the CRM."""
    supply_status: str | None = None
    """How the goods are supplied, as order_flow.supply_status. Written back to the CRM."""
    notes: str | None = None
    """Free text written by staff; may name people."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the opportunity, in the order of the source."""
    created_at: datetime | None = None
    """When the opportunity was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """
    lines: tuple[OpportunityLine, ...] = ()
    """The lines of the opportunity, by line number and then by id."""


class TimelineEvent(Record, frozen=True, kw_only=True):
    """Something that happened in the flow."""

    at: datetime | None = None
    """When it happened, by its source."""
    precision: str | None = None
    """Whether `at` is a moment, or only a day: then it is the start of that day in UTC, and no time is to
    be shown.
    """
    what: str | None = None
    """What happened, in plain words, such as order confirmed."""
    entity: str | None = None
    """Kind of the record to which it happened, such as shipment."""
    id: UUID | None = None
    """Canonical id of that record."""
    system: str | None = None
    """The system that reported it."""


class OrderFlow(Record, frozen=True, kw_only=True):
    """One business case from opportunity to payment: what CRM and ERP systems say of it, joined. Computed
    by the hub, never mapped.
    """

    id: UUID
    """Canonical id of the order flow; the Kafka key of its records. Deterministic: UUIDv5 of system,
    entity and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    customer_id: UUID | None = None
    """The customer of the order, else of the opportunity."""
    opportunity_id: UUID | None = None
    """The opportunity with which it began; empty for an order without one."""
    sales_order_id: UUID | None = None
    """The first order of the flow that is not cancelled; the first of all when all are."""
    stage: str
    """How far the whole flow is; docs/guides/order-to-cash.md has the conditions."""
    stage_since: datetime | None = None
    """When the flow came to its stage, as far as its documents show: of several shipments, invoices or
    payments the one that brought it there.
    """
    shipment_status: str | None = None
    """How far the goods are, by quantities: of the orders that are not cancelled, by the shipments that
    were neither cancelled nor returned.
    """
    payment_status: str | None = None
    """How far the money is; paid only when nothing is open and no invoice is to come, credited when credit
    notes took all invoices back, overpaid when the customer has a credit balance.
    """
    currency: str | None = None
    """ISO 4217 code of the currency of the amounts, such as EUR or CNY: the order's, else the
    opportunity's, else the first invoice's.
    """
    ordered_amount: Decimal | None = None
    """Sum of the orders that are neither cancelled, drafts nor blanket orders, without tax, in `currency`;
    empty while there is none, and where an order does not say its amount.
    """
    ordered_gross_amount: Decimal | None = None
    """ordered_amount with tax; empty where an order does not say it."""
    shipped_amount: Decimal | None = None
    """Value of the goods that left the warehouse, without tax, in `currency`: each order line's amount by
    the share of its quantity that was shipped. Empty where that cannot be known.
    """
    invoiced_amount: Decimal | None = None
    """Sum of the invoices less credit notes, with tax, in `currency`; drafts and cancelled ones do not
    count.
    """
    invoiced_net_amount: Decimal | None = None
    """invoiced_amount without tax; empty where an invoice does not say it."""
    paid_amount: Decimal | None = None
    """Sum of the payments that are neither pending nor reversed, less refunds, in `currency`; with tax, as
    customers pay.
    """
    settled_otherwise_amount: Decimal | None = None
    """What of the invoices is neither paid in `currency` nor open: cash discount, tax withheld, written
    off, set off, paid in another currency. invoiced_amount is paid_amount, this and open_amount
    together.
    """
    open_amount: Decimal | None = None
    """What is still to be paid of the invoices, by their own system where it says so, with tax, in
    `currency`; less than nothing where the customer has a credit balance: it paid more than is
    invoiced, or a refund is due.
    """
    other_ordered_amounts: dict[str, str] | None = None
    """What is ordered in other currencies: ISO 4217 code to amount; amounts are never added across
    currencies.
    """
    other_shipped_amounts: dict[str, str] | None = None
    """What is shipped in other currencies: ISO 4217 code to amount; amounts are never added across
    currencies.
    """
    other_invoiced_amounts: dict[str, str] | None = None
    """What is invoiced in other currencies: ISO 4217 code to amount; amounts are never added across
    currencies.
    """
    other_paid_amounts: dict[str, str] | None = None
    """What is paid in other currencies: ISO 4217 code to amount; amounts are never added across
    currencies.
    """
    other_open_amounts: dict[str, str] | None = None
    """What is open in other currencies: ISO 4217 code to amount; amounts are never added across
    currencies.
    """
    line_count: int | None = None
    """Number of lines of the orders that are not cancelled."""
    shipment_count: int | None = None
    """Number of shipments that were neither cancelled nor returned."""
    invoice_count: int | None = None
    """Number of invoices and credit notes that count."""
    payment_count: int | None = None
    """Number of payments and refunds that count."""
    service_request_count: int | None = None
    """Number of service requests that hang on the flow."""
    opportunity_number: str | None = None
    """Number of the opportunity."""
    opportunity_stage: str | None = None
    """Stage of the opportunity, as opportunity.stage."""
    order_number: str | None = None
    """Number of the order."""
    order_status: str | None = None
    """Status of the order, as sales_order.status."""
    promised_date: date | None = None
    """Day on which delivery was promised."""
    won_at: datetime | None = None
    """When the opportunity was won."""
    ordered_at: datetime | None = None
    """When the order was confirmed, else entered."""
    shipped_at: datetime | None = None
    """When goods last left the warehouse."""
    delivered_at: datetime | None = None
    """When the last goods reached the customer; empty until all that was ordered has."""
    invoiced_at: datetime | None = None
    """Start (UTC) of the day of the last invoice."""
    paid_at: datetime | None = None
    """When money last came in; refunds are not looked at."""
    supply_status: str | None = None
    """How the goods that are left to ship are supplied, by the line that stands in the way; empty where no
    line has a purchase, production or reservation.
    """
    expected_date: date | None = None
    """Day on which the last of the goods is there, by the newest word of suppliers and shop floor; empty
    where nobody says.
    """
    late_days: int | None = None
    """Days by which the line that comes last comes after the day that was promised for it; empty where
    none does.
    """
    waits_for: str | None = None
    """Number of the purchase or production order that comes last."""
    supplier_id: UUID | None = None
    """The supplier of that purchase order."""
    timeline: tuple[TimelineEvent, ...] = ()
    """What happened when and where, oldest first."""


class Payment(Record, frozen=True, kw_only=True):
    """Money that came in for an invoice. Mastered by the ERP."""

    id: UUID
    """Canonical id of the payment; the Kafka key of its records. Deterministic: UUIDv5 of system, entity
    and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    number: str | None = None
    """Number of the booking in the ERP."""
    invoice_id: UUID | None = None
    """The invoice that is paid by it."""
    customer_id: UUID | None = None
    """The customer who paid."""
    method: str | None = None
    """How it was paid, in the words of the ERP, such as transfer, card or cash."""
    status: str | None = None
    """Whether the money is there."""
    amount: Decimal | None = None
    """How much came in, in `currency`."""
    open_amount: Decimal | None = None
    """What of it is not matched with an invoice yet, in `currency`."""
    currency: str | None = None
    """ISO 4217 code of the currency of all amounts of this record, such as EUR or CNY."""
    base_currency: str | None = None
    """ISO 4217 code of the currency in which the company's books are kept."""
    exchange_rate: Decimal | None = None
    """What one unit of `currency` is worth in `base_currency`, as the payment was booked."""
    exchange_rate_date: date | None = None
    """Day of that rate."""
    paid_at: datetime | None = None
    """When the money came in."""
    reference: str | None = None
    """Text of the remittance or number of the card transaction; may name people and accounts."""
    owner: str | None = None
    """Member of our staff who booked the payment."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the payment, in the order of the source."""
    created_at: datetime | None = None
    """When the payment was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class Product(Record, frozen=True, kw_only=True):
    """Something that is sold: goods or a service, one record for each article number."""

    id: UUID
    """Canonical id of the product; the Kafka key of its records. Deterministic: UUIDv5 of system, entity
    and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    sku: str
    """Article number: the key by which people and other systems name the product. Mastered by the ERP."""
    name: str | None = None
    """Short name as it stands on offers and invoices. Mastered by the ERP."""
    description: str | None = None
    """Long description, plain text."""
    category: str | None = None
    """Product group, in the words of its system."""
    kind: str | None = None
    """What it is: only goods are shipped; empty counts as goods."""
    unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit in which it is stocked and sold by default, such as C62
    (piece) or KGM.
    """
    gtin: str | None = None
    """GTIN (EAN, UPC) with its check digit, 8 to 14 digits."""
    list_price: Decimal | None = None
    """Price of one unit without discount and without tax, in `currency`."""
    cost_price: Decimal | None = None
    """What one unit costs us, in `currency`. Mastered by the ERP; not for customers' eyes."""
    currency: str | None = None
    """ISO 4217 code of the currency of list_price and cost_price."""
    tax_rate: Decimal | None = None
    """Rate of sales tax in percent: 19 is 19 %."""
    available: Decimal | None = None
    """What can still be promised over all warehouses, as shown in a system that write-back keeps current.
    The hub's own figure is in the record stock.
    """
    weight_kg: Decimal | None = None
    """Gross weight of one unit in kilograms."""
    active: bool | None = None
    """False for what is no longer sold."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the product, in the order of the source."""
    created_at: datetime | None = None
    """When the product was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class ProductionOrderLine(Record, frozen=True, kw_only=True):
    """For which order line how much of a production order is made."""

    id: UUID
    """Canonical id of the line."""
    order_line_id: UUID | None = None
    """The line of a sales order for which it is made; empty for our stock."""
    product_id: UUID | None = None
    """The product that is made."""
    line_no: int | None = None
    """Number of the line in its document, from 1 up; gaps are possible."""
    quantity: Decimal | None = None
    """How much of it is for the order line, in `unit`."""
    unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit of quantity."""
    base_quantity: Decimal | None = None
    """The same quantity in base_unit, as its system converts it."""
    base_unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit in which the product is stocked."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class ProductionOrder(Record, frozen=True, kw_only=True):
    """What our own shop floor makes, and how far it is. Mastered by the ERP."""

    id: UUID
    """Canonical id of the production order; the Kafka key of its records. Deterministic: UUIDv5 of system,
    entity and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    number: str | None = None
    """Number of the production order, as the ERP gives it."""
    product_id: UUID | None = None
    """The product that is made."""
    status: str | None = None
    """How far it is."""
    quantity: Decimal | None = None
    """How much is to be made, in `unit`."""
    unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit of quantity."""
    base_quantity: Decimal | None = None
    """The same quantity in base_unit, as its system converts it."""
    base_unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit in which the product is stocked."""
    finished_quantity: Decimal | None = None
    """How much is made, in `unit`."""
    scrapped_quantity: Decimal | None = None
    """How much failed, in `unit`."""
    planned_start_date: date | None = None
    """Day on which work is to begin."""
    promised_date: date | None = None
    """Day on which it was first to be finished."""
    expected_date: date | None = None
    """Day on which the shop floor now expects to be finished."""
    operation: str | None = None
    """The operation that is under way or next, in the words of its system."""
    operation_count: int | None = None
    """Number of operations."""
    operations_done: int | None = None
    """How many of them are done."""
    progress_pct: Decimal | None = None
    """How far work is, in percent, as its system says."""
    warehouse: str | None = None
    """Code of the warehouse that takes what is made."""
    started_at: datetime | None = None
    """When work began."""
    finished_at: datetime | None = None
    """When all of it was made."""
    owner: str | None = None
    """Member of our staff who looks after the production order."""
    notes: str | None = None
    """Free text written by staff; may name people."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the production order, in the order of the source."""
    created_at: datetime | None = None
    """When the production order was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """
    lines: tuple[ProductionOrderLine, ...] = ()
    """The lines of the production order, by line number and then by id; empty where it is made for stock."""


class PurchaseOrderLine(Record, frozen=True, kw_only=True):
    """One product of a purchase order, and the order line for which it is bought."""

    id: UUID
    """Canonical id of the line."""
    order_line_id: UUID | None = None
    """The line of a sales order for which it is bought; empty for our stock."""
    product_id: UUID | None = None
    """The product that is bought."""
    line_no: int | None = None
    """Number of the line in its document, from 1 up; gaps are possible."""
    description: str | None = None
    """What is bought, as text."""
    quantity: Decimal | None = None
    """How much is ordered, in `unit`."""
    unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit of quantity."""
    base_quantity: Decimal | None = None
    """The same quantity in base_unit, as its system converts it."""
    base_unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit in which the product is stocked."""
    received_quantity: Decimal | None = None
    """How much has come, in `unit`, as the ERP says. Empty: by the goods receipts."""
    unit_price: Decimal | None = None
    """Price of one unit without tax, in the order's currency."""
    net_amount: Decimal | None = None
    """Amount of the line without tax, in the order's currency."""
    requested_date: date | None = None
    """Day on which we want the goods."""
    promised_date: date | None = None
    """Day that the supplier promised first."""
    expected_date: date | None = None
    """Day on which the supplier now says that they come; empty where it is the order's."""
    status: str | None = None
    """How far the line is, where its system says so."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class PurchaseOrder(Record, frozen=True, kw_only=True):
    """What we order from a supplier, with its lines. It may serve several sales orders and our stock.
    Mastered by the ERP.
    """

    id: UUID
    """Canonical id of the purchase order; the Kafka key of its records. Deterministic: UUIDv5 of system,
    entity and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    number: str | None = None
    """Number of the purchase order, as the ERP gives it."""
    supplier_id: UUID | None = None
    """The supplier that is to deliver."""
    status: str | None = None
    """How far the purchase order is."""
    kind: str | None = None
    """Whether the goods come to us, or go from the supplier straight to the customer."""
    currency: str | None = None
    """ISO 4217 code of the currency of all amounts of this record, such as EUR or CNY."""
    net_amount: Decimal | None = None
    """Amount without tax, in `currency`."""
    gross_amount: Decimal | None = None
    """Amount with tax, in `currency`."""
    order_date: date | None = None
    """Day on which it was ordered."""
    requested_date: date | None = None
    """Day on which we want the goods."""
    promised_date: date | None = None
    """Day that the supplier promised first."""
    expected_date: date | None = None
    """Day on which the supplier now says that they come; lines may say another."""
    supplier_reference: str | None = None
    """The supplier's own number for it."""
    warehouse: str | None = None
    """Code of the warehouse that the goods come to."""
    confirmed_at: datetime | None = None
    """When the supplier confirmed it."""
    cancelled_at: datetime | None = None
    """When it was cancelled."""
    owner: str | None = None
    """Member of our staff who looks after the purchase order."""
    notes: str | None = None
    """Free text written by staff; may name people."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the purchase order, in the order of the source."""
    created_at: datetime | None = None
    """When the purchase order was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """
    lines: tuple[PurchaseOrderLine, ...] = ()
    """The lines of the purchase order, by line number and then by id."""


class Receivables(Record, frozen=True, kw_only=True):
    """What a customer owes, and what it waits for, over all its order flows. Computed by the hub, never
    mapped.
    """

    id: UUID
    """Canonical id of the sum; the Kafka key of its records. Deterministic: UUIDv5 of the hub, entity and
    customer.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When the hub last summed it to another result."""
    sources: tuple[Source, ...]
    """Always empty: no row of a source has it."""
    customer_id: UUID | None = None
    """The customer that owes it."""
    currency: str | None = None
    """ISO 4217 code of the amounts: the customer's own currency where it owes something in that, else the
    one of most of its open invoices.
    """
    open_amount: Decimal | None = None
    """What is open of its invoices, less what is open of its credit notes, in that currency."""
    overdue_amount: Decimal | None = None
    """Of open_amount, what is past its due date (by UTC's day), or called overdue by the ERP."""
    oldest_due_date: date | None = None
    """Due date of the oldest invoice that is overdue."""
    next_due_date: date | None = None
    """Due date of the open invoice that will be overdue next: the sums change on the day after it without
    anybody's doing.
    """
    open_invoice_count: int | None = None
    """Invoices of which something is open, in all currencies; credit notes are not counted."""
    overdue_invoice_count: int | None = None
    """Of those, the ones that are overdue."""
    other_open_amounts: dict[str, str] | None = None
    """What is open in other currencies: ISO 4217 code to amount; amounts are never added across
    currencies.
    """
    open_request_count: int | None = None
    """Service requests that are neither resolved nor closed."""


class Repair(Record, frozen=True, kw_only=True):
    """Work on goods of a customer. Mastered by the ERP or by the service system."""

    id: UUID
    """Canonical id of the repair; the Kafka key of its records. Deterministic: UUIDv5 of system, entity
    and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    number: str | None = None
    """Number of the repair."""
    service_request_id: UUID | None = None
    """The service request with which it began."""
    customer_id: UUID | None = None
    """The customer whose goods are repaired."""
    product_id: UUID | None = None
    """The product that is repaired."""
    installed_item_id: UUID | None = None
    """The piece that is repaired."""
    return_order_id: UUID | None = None
    """The return with which it came."""
    serial_number: str | None = None
    """Serial number of the piece, where it is no installed item."""
    status: str | None = None
    """How far the repair is."""
    is_warranty: bool | None = None
    """True where the customer does not pay."""
    currency: str | None = None
    """ISO 4217 code of the currency of all amounts of this record, such as EUR or CNY."""
    net_amount: Decimal | None = None
    """What the customer pays, without tax, in `currency`."""
    expected_date: date | None = None
    """Day on which it is expected to be done."""
    started_at: datetime | None = None
    """When work began."""
    finished_at: datetime | None = None
    """When it was done."""
    owner: str | None = None
    """Member of our staff who looks after the repair."""
    notes: str | None = None
    """Free text written by staff; may name people."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the repair, in the order of the source."""
    created_at: datetime | None = None
    """When the repair was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class Reservation(Record, frozen=True, kw_only=True):
    """Stock that is kept for one line of a sales order. Mastered by the ERP."""

    id: UUID
    """Canonical id of the reservation; the Kafka key of its records. Deterministic: UUIDv5 of system,
    entity and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    sales_order_id: UUID | None = None
    """The order of that line: a dictionary looks it up where the row names only the line."""
    order_line_id: UUID | None = None
    """The order line for which it is kept."""
    product_id: UUID | None = None
    """The product that is kept."""
    quantity: Decimal | None = None
    """How much is kept, in `unit`."""
    unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit of quantity; empty where it is that of the order line."""
    base_quantity: Decimal | None = None
    """The same quantity in base_unit, as its system converts it."""
    base_unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit in which the product is stocked."""
    warehouse: str | None = None
    """Code of the warehouse where it lies."""
    lot: str | None = None
    """Lot or batch number of the goods."""
    status: str | None = None
    """Whether it still holds."""
    expected_date: date | None = None
    """Day on which the goods can leave; empty where they lie ready."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the reservation, in the order of the source."""
    created_at: datetime | None = None
    """When the reservation was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class ReturnOrderLine(Record, frozen=True, kw_only=True):
    """What of one order line comes back."""

    id: UUID
    """Canonical id of the line."""
    order_line_id: UUID | None = None
    """The order line by which it was sold."""
    product_id: UUID | None = None
    """The product that comes back."""
    line_no: int | None = None
    """Number of the line in its document, from 1 up; gaps are possible."""
    description: str | None = None
    """What comes back, as text."""
    quantity: Decimal | None = None
    """How much comes back, in `unit`."""
    unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit of quantity."""
    base_quantity: Decimal | None = None
    """The same quantity in base_unit, as its system converts it."""
    base_unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit in which the product is stocked."""
    received_quantity: Decimal | None = None
    """How much has come in, in `unit`."""
    lot: str | None = None
    """Lot or batch number of the goods."""
    serial_number: str | None = None
    """Serial number of the goods, for a single piece."""
    condition: str | None = None
    """What inspection says of the goods, in the words of its system."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class ReturnOrder(Record, frozen=True, kw_only=True):
    """Goods that a customer sends back, and what becomes of it (RMA). Mastered by the ERP."""

    id: UUID
    """Canonical id of the return; the Kafka key of its records. Deterministic: UUIDv5 of system, entity
    and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    number: str | None = None
    """Number of the return, as its system gives it."""
    customer_id: UUID | None = None
    """The customer who sends the goods back."""
    sales_order_id: UUID | None = None
    """The order by which they were sold; empty where nobody knows it."""
    service_request_id: UUID | None = None
    """The service request with which it began."""
    status: str | None = None
    """How far the return is."""
    reason: str | None = None
    """Why the goods come back, in the words of its system."""
    wanted: str | None = None
    """What the customer is to get."""
    credit_note_id: UUID | None = None
    """The credit note that was made for it."""
    replacement_order_id: UUID | None = None
    """The order that replaces the goods."""
    currency: str | None = None
    """ISO 4217 code of the currency of all amounts of this record, such as EUR or CNY."""
    net_amount: Decimal | None = None
    """Value of the goods without tax, in `currency`."""
    warehouse: str | None = None
    """Code of the warehouse that takes the goods in."""
    requested_at: datetime | None = None
    """When the customer asked."""
    approved_at: datetime | None = None
    """When we agreed."""
    received_at: datetime | None = None
    """When the goods came in."""
    closed_at: datetime | None = None
    """When it was done with."""
    owner: str | None = None
    """Member of our staff who looks after the return."""
    notes: str | None = None
    """Free text written by staff; may name people."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the return, in the order of the source."""
    created_at: datetime | None = None
    """When the return was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """
    lines: tuple[ReturnOrderLine, ...] = ()
    """The lines of the return, by line number and then by id."""


class SalesOrderLine(Record, frozen=True, kw_only=True):
    """One product, or one free position, of a sales order."""

    id: UUID
    """Canonical id of the line."""
    product_id: UUID | None = None
    """The product that was ordered; empty for a free position such as freight."""
    line_no: int | None = None
    """Number of the line in its document, from 1 up; gaps are possible."""
    description: str | None = None
    """What was ordered, as text."""
    kind: str | None = None
    """What the line is: only goods are shipped. Empty: goods where the line has a product, or where its
    system names no products; else not to be shipped.
    """
    quantity: Decimal | None = None
    """How much, in `unit`."""
    unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit of quantity and price."""
    base_quantity: Decimal | None = None
    """The same quantity in base_unit, as its system converts it."""
    base_unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit in which the product is stocked; compared where a shipment
    has another unit than the order.
    """
    shipped_quantity: Decimal | None = None
    """How much of it was shipped, in `unit`, by its own system's count; that counts before the shipments.
    Leave it out where the system does not keep it.
    """
    unit_price: Decimal | None = None
    """Price of one unit before discount, without tax, in the order's currency."""
    discount_pct: Decimal | None = None
    """Discount in percent of the price: 5 is 5 %."""
    discount_amount: Decimal | None = None
    """Discount of the line, without tax, in the order's currency; positive."""
    tax_rate: Decimal | None = None
    """Rate of sales tax in percent: 19 is 19 %."""
    tax_amount: Decimal | None = None
    """Tax on net_amount, in the order's currency."""
    net_amount: Decimal | None = None
    """Amount of the line after discount, without tax, in the order's currency."""
    requested_date: date | None = None
    """Day on which the customer wants this line."""
    promised_date: date | None = None
    """Day on which we promised this line."""
    warehouse: str | None = None
    """Code of the warehouse from which this line is to be delivered, where it is not the order's."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class SalesOrder(Record, frozen=True, kw_only=True):
    """What a customer ordered. Mastered by the ERP."""

    id: UUID
    """Canonical id of the order; the Kafka key of its records. Deterministic: UUIDv5 of system, entity and
    key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    number: str | None = None
    """Order number, as the ERP gives it."""
    customer_id: UUID | None = None
    """The customer who ordered."""
    opportunity_id: UUID | None = None
    """The opportunity from which the order came; empty for an order without one."""
    service_request_id: UUID | None = None
    """The service request that the order answers, such as one for a spare part; empty for other orders."""
    status: str | None = None
    """How far the order is."""
    kind: str | None = None
    """An ordinary order, or a blanket order: an agreement of which nothing is shipped or billed before
    other orders call it off.
    """
    preceding_order_id: UUID | None = None
    """The order that this one calls off from, delivers the rest of, or replaces goods of; empty for a
    first order.
    """
    order_date: date | None = None
    """Day of the order, on the customer's document where there is one."""
    requested_date: date | None = None
    """Day on which the customer wants delivery."""
    promised_date: date | None = None
    """Day on which we promised delivery."""
    currency: str | None = None
    """ISO 4217 code of the currency of all amounts of this record, such as EUR or CNY."""
    base_currency: str | None = None
    """ISO 4217 code of the currency in which the company's books are kept."""
    exchange_rate: Decimal | None = None
    """What one unit of `currency` is worth in `base_currency`, as the order was booked."""
    exchange_rate_date: date | None = None
    """Day of that rate."""
    discount_pct: Decimal | None = None
    """Discount on the whole order, beside those of its lines, in percent of these: 5 is 5 %;
    discount_amount is what counts.
    """
    discount_amount: Decimal | None = None
    """Discount on the whole order, beside those of its lines, without tax, in `currency`; positive."""
    freight_amount: Decimal | None = None
    """Freight and other charges on the whole order that are no line of it, without tax, in `currency`."""
    net_amount: Decimal | None = None
    """Amount without tax: the lines, less discount_amount, and freight_amount; in `currency`, as in the
    ERP.
    """
    tax_amount: Decimal | None = None
    """Tax, in `currency`, as in the ERP."""
    gross_amount: Decimal | None = None
    """net_amount and tax_amount together, in `currency`, as in the ERP."""
    payment_terms_days: int | None = None
    """Days from invoice date to due date that were agreed for this order."""
    incoterm: str | None = None
    """Incoterms code of who bears freight and risk, such as EXW, FCA or DAP."""
    incoterm_place: str | None = None
    """The place that belongs to the incoterm."""
    warehouse: str | None = None
    """Code of the warehouse from which it is to be delivered."""
    shipping_name: str | None = None
    """Name of the company or person to whom the goods go. Empty, like the rest of the address, where it is
    the customer's.
    """
    shipping_street: str | None = None
    """Street, house number and further address lines to which the goods go; lines are separated by a line
    feed.
    """
    shipping_city: str | None = None
    """City or town to which the goods go."""
    shipping_region: str | None = None
    """State, province or region to which the goods go, as the source writes it."""
    shipping_postal_code: str | None = None
    """Postal code to which the goods go, as text: leading zeros count."""
    shipping_country: str | None = None
    """ISO 3166-1 alpha-2 code of the country to which the goods go, such as DE or CN."""
    billing_name: str | None = None
    """Name of the company or person to whom the invoice goes. Empty, like the rest of the address, where
    it is the customer's.
    """
    billing_street: str | None = None
    """Street, house number and further address lines to which the invoice goes; lines are separated by a
    line feed.
    """
    billing_city: str | None = None
    """City or town to which the invoice goes."""
    billing_region: str | None = None
    """State, province or region to which the invoice goes, as the source writes it."""
    billing_postal_code: str | None = None
    """Postal code to which the invoice goes, as text: leading zeros count."""
    billing_country: str | None = None
    """ISO 3166-1 alpha-2 code of the country to which the invoice goes, such as DE or CN."""
    owner: str | None = None
    """Member of our staff who looks after the order."""
    customer_reference: str | None = None
    """The customer's own number for the order."""
    notes: str | None = None
    """Free text written by staff; may name people."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the order, in the order of the source."""
    confirmed_at: datetime | None = None
    """When we confirmed the order to the customer."""
    closed_at: datetime | None = None
    """When the order came to its end: `status` says whether it was closed or cancelled."""
    created_at: datetime | None = None
    """When the order was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """
    lines: tuple[SalesOrderLine, ...] = ()
    """The lines of the order, by line number and then by id."""


class StoryEvent(Record, frozen=True, kw_only=True):
    """Something that happened in the case."""

    at: datetime | None = None
    """When it happened, by its source."""
    precision: str | None = None
    """Whether `at` is a moment, or only a day: then it is the start of that day in UTC."""
    what: str | None = None
    """What happened, in plain words, such as goods came back."""
    entity: str | None = None
    """Kind of the record to which it happened, such as return_order."""
    id: UUID | None = None
    """Canonical id of that record."""
    number: str | None = None
    """Number of that record."""
    system: str | None = None
    """The system that reported it."""


class ServiceCase(Record, frozen=True, kw_only=True):
    """A service request, or a return that no request asked for, with all that it concerns: order,
    shipment, invoice, item, warranty, stock, and what came of it. Computed by the hub, never mapped.
    """

    id: UUID
    """Canonical id of the case; the Kafka key of its records. Deterministic: UUIDv5 of the hub, entity and
    request (or return).
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When the hub last joined it to another result."""
    sources: tuple[Source, ...]
    """Always empty: no row of a source has it."""
    sales_order_id: UUID | None = None
    """The order that it concerns: the one that it names by id or number, else that of its shipment,
    invoice, item or return. With the problem order_unknown it is not in the hub yet.
    """
    service_request_id: UUID | None = None
    """The request; empty for a return that no request asked for."""
    number: str | None = None
    """Number of the request, else of the return."""
    customer_id: UUID | None = None
    """The customer who asks."""
    kind: str | None = None
    """What the customer wants."""
    status: str | None = None
    """How far the request is, else the return, in its own words."""
    is_open: bool | None = None
    """Whether something is left to do."""
    opened_at: datetime | None = None
    """When the customer asked."""
    due_at: datetime | None = None
    """By when it is to be answered or done, as was agreed."""
    closed_at: datetime | None = None
    """When it was done with."""
    contact_count: int | None = None
    """How often we had to do with the request: 1 is one that was solved at first contact."""
    order_number: str | None = None
    """Number of the order; where the hub knows no order, the number that the request names."""
    order_stage: str | None = None
    """How far the flow of the order is; docs/guides/order-to-cash.md has the stages."""
    shipment_id: UUID | None = None
    """The shipment with which the goods went: the one that it names, else that of its item, else the last
    one of the order with the product.
    """
    shipment_number: str | None = None
    """Number of that shipment."""
    shipped_at: datetime | None = None
    """When that shipment left."""
    delivered_at: datetime | None = None
    """When that shipment arrived."""
    invoice_id: UUID | None = None
    """The invoice: the one that it names, else the last one of the order with the product."""
    invoice_number: str | None = None
    """Number of that invoice."""
    product_id: UUID | None = None
    """The product that it is about: the one that it names, else that of its item, else the only one of its
    return.
    """
    quantity: Decimal | None = None
    """How much of the product is wanted or comes back, in its unit."""
    installed_item_id: UUID | None = None
    """The piece at the customer's: the one that it names, else the one with its serial number."""
    serial_number: str | None = None
    """Serial number of the piece."""
    warranty: str | None = None
    """Whether the piece or the product was under warranty on the day of the request; unknown where no
    item, contract or day says so.
    """
    warranty_until: date | None = None
    """Last day of that warranty; where it is over, the day on which it ended. Empty without an end."""
    warranty_by: str | None = None
    """What promises it: the item itself, or a contract."""
    contract_id: UUID | None = None
    """The contract that promises it, or promised it."""
    contract_number: str | None = None
    """Number of that contract."""
    part_available: str | None = None
    """Whether enough of the product is free in stock, for a case that is open; unknown where no system
    keeps stock of it.
    """
    available_quantity: Decimal | None = None
    """How much of the product is free in all warehouses, for a case that is open."""
    available_by_warehouse: dict[str, str] | None = None
    """Code of the warehouse → how much is free there, as decimal text; warehouses with nothing are left
    out.
    """
    return_order_id: UUID | None = None
    """The return, of several the newest."""
    return_number: str | None = None
    """Number of that return."""
    return_status: str | None = None
    """How far that return is."""
    returned_at: datetime | None = None
    """When its goods came in."""
    credit_note_id: UUID | None = None
    """The credit note that was made for it."""
    credit_note_number: str | None = None
    """Number of that credit note."""
    replacement_order_id: UUID | None = None
    """The order that replaces the goods, or brings the spare part."""
    replacement_number: str | None = None
    """Number of that order."""
    repair_number: str | None = None
    """Number of the repair, of several the newest."""
    repair_status: str | None = None
    """How far that repair is."""
    solved_by: str | None = None
    """What the customer got; empty while it has got nothing."""
    problems: tuple[str, ...] | None = None
    """What does not fit, in the words of docs/guides/service.md; empty where all is well."""
    story: tuple[StoryEvent, ...] = ()
    """What happened when and where, oldest first: from the request over return and receipt to credit note,
    replacement or repair.
    """


class ServiceRequest(Record, frozen=True, kw_only=True):
    """Something that a customer wants from service: a question, a complaint, a repair."""

    id: UUID
    """Canonical id of the request; the Kafka key of its records. Deterministic: UUIDv5 of system, entity
    and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    number: str | None = None
    """Number of the request, as its system gives it."""
    customer_id: UUID | None = None
    """The customer who asks."""
    contact_id: UUID | None = None
    """The person at the customer who asks."""
    sales_order_id: UUID | None = None
    """The order that it is about; empty for a request without one."""
    order_number: str | None = None
    """Number of the order, where its system knows only that: the hub finds the order by it."""
    product_id: UUID | None = None
    """The product that it is about."""
    subject: str | None = None
    """What it is about, in a line; may name people."""
    description: str | None = None
    """The customer's description; may name people."""
    status: str | None = None
    """How far the request is."""
    priority: str | None = None
    """How urgent it is, in the words of its system."""
    owner: str | None = None
    """Member of our staff who looks after it."""
    opened_at: datetime | None = None
    """When the customer asked."""
    due_at: datetime | None = None
    """By when it is to be answered or done, as was agreed."""
    closed_at: datetime | None = None
    """When it was done with."""
    kind: str | None = None
    """What the customer wants."""
    shipment_id: UUID | None = None
    """The shipment that it is about."""
    invoice_id: UUID | None = None
    """The invoice that it is about."""
    installed_item_id: UUID | None = None
    """The piece at the customer's that it is about."""
    serial_number: str | None = None
    """Serial number that the customer names, for a single piece."""
    quantity: Decimal | None = None
    """How much of the product is wanted or comes back, in its unit."""
    contact_count: int | None = None
    """How often we had to do with it: 1 is a request that was solved at first contact."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the request, in the order of the source."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class ShipmentLine(Record, frozen=True, kw_only=True):
    """What of one order line is in a shipment."""

    id: UUID
    """Canonical id of the line."""
    order_line_id: UUID | None = None
    """The order line that is delivered by it."""
    product_id: UUID | None = None
    """The product that is in the parcel."""
    line_no: int | None = None
    """Number of the line in its document, from 1 up; gaps are possible."""
    description: str | None = None
    """What is in the parcel, as text."""
    quantity: Decimal | None = None
    """How much of it, in `unit`."""
    unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit of quantity; empty where it is that of the order line."""
    base_quantity: Decimal | None = None
    """The same quantity in base_unit, as its system converts it."""
    base_unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit in which the product is stocked."""
    lot: str | None = None
    """Lot or batch number of the goods."""
    serial_number: str | None = None
    """Serial number of the goods, for a single piece."""
    expiry_date: date | None = None
    """Day up to which the goods of this lot are good."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class Shipment(Record, frozen=True, kw_only=True):
    """Goods that left, or will leave, for the customer: one delivery note. Mastered by the ERP."""

    id: UUID
    """Canonical id of the shipment; the Kafka key of its records. Deterministic: UUIDv5 of system, entity
    and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    number: str | None = None
    """Number of the delivery note."""
    sales_order_id: UUID | None = None
    """The order that is delivered."""
    status: str | None = None
    """How far the shipment is."""
    requested_date: date | None = None
    """Day on which the customer wants the goods."""
    promised_date: date | None = None
    """Day on which we promised them."""
    carrier: str | None = None
    """Who carries the goods."""
    tracking_number: str | None = None
    """The carrier's number by which the goods can be followed."""
    warehouse: str | None = None
    """Code of the warehouse that they leave."""
    incoterm: str | None = None
    """Incoterms code of who bears freight and risk, such as EXW, FCA or DAP."""
    incoterm_place: str | None = None
    """The place that belongs to the incoterm."""
    shipping_name: str | None = None
    """Name of the company or person to whom the goods go. Empty, like the rest of the address, where it is
    the order's.
    """
    shipping_street: str | None = None
    """Street, house number and further address lines to which the goods go; lines are separated by a line
    feed.
    """
    shipping_city: str | None = None
    """City or town to which the goods go."""
    shipping_region: str | None = None
    """State, province or region to which the goods go, as the source writes it."""
    shipping_postal_code: str | None = None
    """Postal code to which the goods go, as text: leading zeros count."""
    shipping_country: str | None = None
    """ISO 3166-1 alpha-2 code of the country to which the goods go, such as DE or CN."""
    package_count: int | None = None
    """How many parcels or pallets it has."""
    weight_kg: Decimal | None = None
    """What it weighs, packing included, in kilograms."""
    freight_cost: Decimal | None = None
    """What its carriage costs us, without tax, in `currency`."""
    currency: str | None = None
    """ISO 4217 code of the currency of freight_cost, such as EUR or CNY."""
    owner: str | None = None
    """Member of our staff who looks after the shipment."""
    shipped_at: datetime | None = None
    """When the goods left the warehouse."""
    delivered_at: datetime | None = None
    """When they reached the customer."""
    returned_at: datetime | None = None
    """When they came back to us, for a shipment that was returned."""
    notes: str | None = None
    """Free text written by staff; may name people."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the shipment, in the order of the source."""
    created_at: datetime | None = None
    """When the shipment was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """
    lines: tuple[ShipmentLine, ...] = ()
    """The lines of the shipment, by line number and then by id."""


class Stock(Record, frozen=True, kw_only=True):
    """Stock of a product over all warehouses. Computed by the hub, never mapped."""

    id: UUID
    """Canonical id of the sum; the Kafka key of its records. Deterministic: UUIDv5 of the hub, entity and
    product.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When the hub last summed it to another result."""
    sources: tuple[Source, ...]
    """Always empty: no row of a source has it."""
    product_id: UUID | None = None
    """The product of which this is the stock."""
    on_hand: Decimal | None = None
    """What lies in all warehouses together, in the product's unit."""
    reserved: Decimal | None = None
    """Of on_hand, what is promised to orders, in the product's unit."""
    available: Decimal | None = None
    """What can still be promised, in the product's unit, by the ERP's figures of each warehouse."""
    warehouse_count: int | None = None
    """Warehouses that keep the product."""
    incoming: Decimal | None = None
    """What is bought or made and has not come yet, in the product's unit; empty where nothing is on its
    way.
    """
    incoming_for_orders: Decimal | None = None
    """Of incoming, what is bought or made for lines of sales orders: the rest can be promised."""
    next_incoming_date: date | None = None
    """Day on which the next of it is expected; in the past where it is late."""
    incoming_by_day: dict[str, str] | None = None
    """What can be promised of incoming, by the day on which it is expected: 2026-12-24 to quantity; an
    empty day where nobody says.
    """


class StockMovement(Record, frozen=True, kw_only=True):
    """Goods that went into, out of or between warehouses. Mastered by the ERP."""

    id: UUID
    """Canonical id of the stock movement; the Kafka key of its records. Deterministic: UUIDv5 of system,
    entity and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    number: str | None = None
    """Number of the movement, as the ERP gives it."""
    product_id: UUID | None = None
    """The product that moved."""
    kind: str | None = None
    """Why it moved."""
    status: str | None = None
    """Whether it is done."""
    quantity: Decimal | None = None
    """How much moved, in `unit`; positive."""
    unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit of quantity."""
    from_warehouse: str | None = None
    """Code of the warehouse that it left; empty for what came from outside."""
    to_warehouse: str | None = None
    """Code of the warehouse that it came to; empty for what left the house."""
    lot: str | None = None
    """Lot or batch number of the goods."""
    serial_number: str | None = None
    """Serial number of the goods, for a single piece."""
    reference: str | None = None
    """Number of the document that caused it."""
    planned_date: date | None = None
    """Day on which it is planned."""
    moved_at: datetime | None = None
    """When it was done."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the stock movement, in the order of the source."""
    created_at: datetime | None = None
    """When the stock movement was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class Supplier(Record, frozen=True, kw_only=True):
    """A company or person from whom we buy. A partner that is also a customer has one record as each."""

    id: UUID
    """Canonical id of the supplier; the Kafka key of its records. Deterministic: UUIDv5 of system, entity
    and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    name: str
    """Name by which the supplier is known in daily business. Mastered by the ERP."""
    number: str | None = None
    """Number of the supplier, as the ERP gives it."""
    legal_name: str | None = None
    """Full name in the commercial register, with its legal form."""
    customer_id: UUID | None = None
    """The customer that the same partner is, where it also buys from us."""
    tax_id: str | None = None
    """Tax registration, without blanks: VAT number with country prefix, 统一社会信用代码, EIN."""
    email: str | None = None
    """Main e-mail address, lower case in its domain."""
    phone: str | None = None
    """Main phone number in E.164, such as +4930123456."""
    website: str | None = None
    """Address of the web site, with scheme."""
    status: str | None = None
    """State of the supplier, in the words of its system, such as active or blocked."""
    currency: str | None = None
    """ISO 4217 code of the currency in which we buy from it by default."""
    payment_terms_days: int | None = None
    """Days from invoice date to due date that are agreed with the supplier."""
    lead_time_days: int | None = None
    """Days from order to arrival that it usually needs."""
    street: str | None = None
    """Street, house number and further address lines; lines are separated by a line feed."""
    city: str | None = None
    """City or town."""
    region: str | None = None
    """State, province or region, as the source writes it."""
    postal_code: str | None = None
    """Postal code, as text: leading zeros count."""
    country: str | None = None
    """ISO 3166-1 alpha-2 code of the country, such as DE or CN."""
    owner: str | None = None
    """Member of our staff who looks after the supplier."""
    notes: str | None = None
    """Free text written by staff; may name people."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the supplier, in the order of the source."""
    created_at: datetime | None = None
    """When the supplier was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class SupplierInvoice(Record, frozen=True, kw_only=True):
    """A bill from a supplier, as far as it is matched with what was ordered and received. Mastered by the
    ERP.
    """

    id: UUID
    """Canonical id of the supplier invoice; the Kafka key of its records. Deterministic: UUIDv5 of system,
    entity and key of the record that it began with.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """The live rows in the captured systems that speak of it, sorted by system and key."""
    number: str | None = None
    """Number of the bill in our books."""
    supplier_number: str | None = None
    """The supplier's own number of the bill."""
    kind: str | None = None
    """An ordinary bill, or one that gives money back; the amounts of both are positive."""
    purchase_order_id: UUID | None = None
    """The purchase order that is billed."""
    supplier_id: UUID | None = None
    """The supplier that is to be paid."""
    status: str | None = None
    """How far the bill is."""
    matching: str | None = None
    """Whether it agrees with what was ordered and received, as the ERP says."""
    currency: str | None = None
    """ISO 4217 code of the currency of all amounts of this record, such as EUR or CNY."""
    net_amount: Decimal | None = None
    """Amount without tax, in `currency`."""
    gross_amount: Decimal | None = None
    """Amount with tax, in `currency`."""
    open_amount: Decimal | None = None
    """What is still to be paid, in `currency`."""
    invoice_date: date | None = None
    """Day of the bill."""
    due_date: date | None = None
    """Day by which it is to be paid."""
    owner: str | None = None
    """Member of our staff who looks after the supplier invoice."""
    notes: str | None = None
    """Free text written by staff; may name people."""
    tags: tuple[str, ...] | None = None
    """Labels that people gave the supplier invoice, in the order of the source."""
    created_at: datetime | None = None
    """When the supplier invoice was first entered, by the source's own record (not when it was captured)."""
    attributes: dict[str, str] | None = None
    """What this company keeps beyond the canonical fields, by name; the dictionary says what goes in. May
    hold anything.
    """


class SupplySource(Record, frozen=True, kw_only=True):
    """One thing that supplies the order line."""

    kind: str | None = None
    """What it is: stock that is kept for the line, a purchase, a purchase that goes straight to the
    customer, or our own production.
    """
    document_id: UUID | None = None
    """Canonical id of the reservation, purchase order or production order."""
    number: str | None = None
    """Number of that document; of stock, the code of the warehouse."""
    supplier_id: UUID | None = None
    """Canonical id of the supplier, for a purchase."""
    status: str | None = None
    """How far the document is, in its own words."""
    quantity: Decimal | None = None
    """How much of it is for the order line, in the unit of the line; empty where the two cannot be
    compared.
    """
    arrived_quantity: Decimal | None = None
    """How much of that came in, was made, or is kept."""
    promised_date: date | None = None
    """Day that was promised first."""
    expected_date: date | None = None
    """Day on which it is now expected."""


class Supply(Record, frozen=True, kw_only=True):
    """How one line of a sales order is supplied, and when it comes. Computed by the hub for lines that a
    purchase, production or reservation names; never mapped.
    """

    id: UUID
    """Canonical id of the supply; the Kafka key of its records. Deterministic: UUIDv5 of the hub, entity
    and order line.
    """
    version: int
    """Grows with each change of this record and is never used twice; the greater one is the newer."""
    updated_at: datetime | None = None
    """When a source last committed a change to it: the newest of its contributions, by the sources' own
    clocks.
    """
    sources: tuple[Source, ...]
    """Always empty: no row of a source has it."""
    sales_order_id: UUID | None = None
    """The order."""
    order_line_id: UUID | None = None
    """The line of the order."""
    order_number: str | None = None
    """Number of the order."""
    line_no: int | None = None
    """Number of the line in the order."""
    customer_id: UUID | None = None
    """The customer who ordered."""
    product_id: UUID | None = None
    """The product that was ordered."""
    status: str | None = None
    """How far supply is; docs/guides/supply.md has the conditions."""
    unit: str | None = None
    """UN/ECE Recommendation 20 code of the unit of all quantities of this record."""
    left_quantity: Decimal | None = None
    """How much of the line is left to ship."""
    ready_quantity: Decimal | None = None
    """How much of that lies ready."""
    promised_date: date | None = None
    """Day on which we promised the line to the customer."""
    expected_date: date | None = None
    """Day on which the last of what is left is there; empty where it lies ready, and where nobody says."""
    late_days: int | None = None
    """Days from promised_date to expected_date, where that is later."""
    waits_for: str | None = None
    """Number of the document that comes last."""
    waits_for_id: str | None = None
    """Canonical id of that document."""
    supplier_id: UUID | None = None
    """The supplier of that document."""
    supplied_by: tuple[SupplySource, ...] = ()
    """What supplies the line, in the order in which it comes."""


BY_TOPIC: dict[str, type[Record]] = {
    "canonical.bill_of_materials": BillOfMaterials,
    "canonical.contact": Contact,
    "canonical.contract": Contract,
    "canonical.customer": Customer,
    "canonical.goods_receipt": GoodsReceipt,
    "canonical.installed_item": InstalledItem,
    "canonical.inventory_level": InventoryLevel,
    "canonical.invoice": Invoice,
    "canonical.opportunity": Opportunity,
    "canonical.order_flow": OrderFlow,
    "canonical.payment": Payment,
    "canonical.product": Product,
    "canonical.production_order": ProductionOrder,
    "canonical.purchase_order": PurchaseOrder,
    "canonical.receivables": Receivables,
    "canonical.repair": Repair,
    "canonical.reservation": Reservation,
    "canonical.return_order": ReturnOrder,
    "canonical.sales_order": SalesOrder,
    "canonical.service_case": ServiceCase,
    "canonical.service_request": ServiceRequest,
    "canonical.shipment": Shipment,
    "canonical.stock": Stock,
    "canonical.stock_movement": StockMovement,
    "canonical.supplier": Supplier,
    "canonical.supplier_invoice": SupplierInvoice,
    "canonical.supply": Supply,
}
"""canonical topic → class of its records."""

__all__ = [
    "BY_TOPIC",
    "BillOfMaterials",
    "BillOfMaterialsLine",
    "Contact",
    "Contract",
    "Customer",
    "GoodsReceipt",
    "GoodsReceiptLine",
    "InstalledItem",
    "InventoryLevel",
    "Invoice",
    "InvoiceLine",
    "Opportunity",
    "OpportunityLine",
    "OrderFlow",
    "Payment",
    "Product",
    "ProductionOrder",
    "ProductionOrderLine",
    "PurchaseOrder",
    "PurchaseOrderLine",
    "Receivables",
    "Repair",
    "Reservation",
    "ReturnOrder",
    "ReturnOrderLine",
    "SalesOrder",
    "SalesOrderLine",
    "ServiceCase",
    "ServiceRequest",
    "Shipment",
    "ShipmentLine",
    "Source",
    "Stock",
    "StockMovement",
    "StoryEvent",
    "Supplier",
    "SupplierInvoice",
    "Supply",
    "SupplySource",
    "TimelineEvent",
]
