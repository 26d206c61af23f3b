"""Rows of one company in the CRM and in the ERP, and operations that create it, share it or make the systems
disagree.
"""

from __future__ import annotations

from streams.simulator import vocabulary
from streams.simulator.documents import Customer
from streams.simulator.session import Row, Statement
from streams.simulator.vocabulary import Firm, choose
from streams.simulator.world import CRM, ERP, Fact, Touched, Transaction, World

REMEMBERED = 50_000
"""Most customers of each system that the company works on; when there are more, it forgets some."""


def account_row(world: World, firm: Firm, key: str, created: str) -> Row:
    """Values for CRM_INSERTS["account"]."""
    rng, place = world.rng, firm.country
    name = firm.name if rng.random() < 0.7 else f"{firm.name.replace(' ', '  ')} "
    email = firm.email if rng.random() < 0.8 else f" {firm.email.upper()}"
    shipping: tuple[str | None, ...] = (
        (firm.street, firm.city, firm.postal_code, place.name) if rng.random() < 0.6 else (None, None, None, None)
    )
    return [
        key,
        name,
        firm.legal_name,
        firm.tax_id and vocabulary.typed_tax_id(rng, firm.tax_id),
        email,
        vocabulary.typed_phone(rng, place, firm.phone),
        f"https://www.{firm.domain}" if rng.random() < 0.5 else f"www.{firm.domain}",
        choose(rng, vocabulary.INDUSTRIES),
        vocabulary.TIERS[firm.tier],
        "Active" if rng.random() < 0.7 else "Prospect",
        place.currency,
        place.locale,
        firm.street,
        firm.city,
        firm.postal_code,
        place.name,
        *shipping,
        choose(rng, vocabulary.OWNERS),
        [vocabulary.TAGS[i] for i in range(len(vocabulary.TAGS)) if rng.random() < 0.15],
        vocabulary.filler(rng, 420)
        if rng.random() < 0.12
        else (vocabulary.filler(rng, 12) if rng.random() < 0.5 else None),
        created,
    ]


def cust_row(world: World, firm: Firm, key: int, crm_ref: str | None, day: int | None) -> Row:
    """Values for ERP_INSERTS["cust"]."""
    rng, place = world.rng, firm.country
    return [
        key,
        firm.name.upper()[:12].strip(),
        firm.legal_name,
        firm.tax_id,
        crm_ref,
        firm.street,
        firm.postal_code,
        firm.city,
        place.iso,
        vocabulary.national_phone(place, firm.phone),
        firm.email,
        place.currency,
        place.erp_lang,
        choose(rng, ("14N", "30N", "30N", "60N")),
        f"{5_000 * (1 + int(rng.random() * 40))}.00",
        vocabulary.GROUPS[firm.tier],
        choose(rng, vocabulary.SALESMEN),
        None,
        day,
    ]


def contact_row(world: World, customer: Customer, key: str, primary: bool, created: str) -> Row:
    """Values for CRM_INSERTS["contact"]."""
    rng, firm = world.rng, customer.firm
    first, last = choose(rng, vocabulary.FIRST), choose(rng, vocabulary.LAST)
    return [
        key,
        customer.crm_id,
        first,
        last,
        f"c{key[:8]}@{firm.domain}",
        vocabulary.typed_phone(rng, firm.country, vocabulary.phone(rng, firm.country)),
        choose(rng, vocabulary.TITLES),
        firm.country.locale,
        primary,
        created,
    ]


def new_firm(world: World) -> Firm:
    """The next company."""
    world.next_firm += 1
    return vocabulary.firm(world.rng, world.next_firm)


def add_account(world: World, firm: Firm, created: str = "now") -> tuple[Customer, list[Statement], list[Touched]]:
    """A company new in the CRM, with one to three people."""
    customer = Customer(firm, crm_id=world.uuid())
    assert customer.crm_id is not None
    statements: list[Statement] = [("insert_account_1", account_row(world, firm, customer.crm_id, created))]
    touched: list[Touched] = [("public.account", customer.crm_id, "c")]
    people = 1 + int(world.rng.random() ** 2 * 3)
    values: Row = []
    for number in range(people):
        key = world.uuid()
        customer.contacts.append(key)
        values += contact_row(world, customer, key, number == 0, created)
        touched.append(("public.contact", key, "c"))
    statements.append((f"insert_contact_{people}", values))
    return customer, statements, touched


def contradict(world: World, firm: Firm, *fields: str) -> tuple[Firm, dict[str, list[str]]]:
    """The company with wrong values of `fields`, as the ERP has it, and {field: [the CRM's value, the ERP's]} in
    canonical form.
    """
    rng = world.rng
    changes: dict[str, str] = {}
    shown: dict[str, list[str]] = {}
    for name in fields:
        if name == "phone":
            changes["phone"] = vocabulary.phone(rng, firm.country)
            shown["phone"] = [
                f"+{firm.country.phone}{firm.phone.removeprefix('0') if firm.country.iso != 'IT' else firm.phone}",
                f"+{firm.country.phone}{changes['phone']}",
            ]
        elif name == "email":
            changes["email"] = f"buchhaltung@{firm.domain}"
            shown["email"] = [firm.email, changes["email"]]
        else:
            changes["street"] = f"{choose(rng, vocabulary.STREETS)} {200 + int(rng.random() * 50)}"
            shown["billing_street"] = [firm.street, changes["street"]]
    wrong = firm._replace(phone=changes.get("phone", firm.phone), email=changes.get("email", firm.email))
    return wrong._replace(street=changes.get("street", firm.street)), shown


def begin(world: World) -> list[Transaction]:
    """A new customer: in the CRM, in the ERP, or in both."""
    rng = world.rng
    firm = new_firm(world)
    drawn = rng.random()
    if drawn < world.shared:
        return begin_both(world, firm)
    if drawn < world.shared + (1 - world.shared) * 0.6:
        customer, statements, touched = add_account(world, firm)
        remember(world, customer)
        return [Transaction(CRM, "customer_in_crm", statements, touched)]
    customer = Customer(firm, erp_id=world.ids.next("cust"))
    facts: list[Fact] = []
    if drawn > 0.99 and (like := world.crm_customers.pick(rng)) is not None and not like.shared:
        # Another company with the same name in the same city: linking the two would be wrong.
        firm = firm._replace(
            name=like.firm.name,
            legal_name=like.firm.legal_name,
            city=like.firm.city,
            country=like.firm.country,
            tax_id=vocabulary.tax_id(like.firm.country.iso, firm.number),
            phone=vocabulary.phone(rng, like.firm.country),
        )
        customer.firm = firm
        facts.append({"fact": "lookalike", "crm": like.crm_id, "erp": customer.erp_id})
    assert customer.erp_id is not None
    remember(world, customer)
    row = cust_row(world, firm, customer.erp_id, None, None)
    return [
        Transaction(
            ERP, "customer_in_erp", [("insert_cust_1", row)], [("erp.cust", str(customer.erp_id), "c")], facts=facts
        )
    ]


def begin_both(world: World, firm: Firm) -> list[Transaction]:
    """A customer of both systems, linked by reference or by tax number only. The systems may disagree on it."""
    customer, statements, touched = add_account(world, firm)
    remember(world, customer)
    return [Transaction(CRM, "customer_in_both", statements, touched), share(world, customer)]


def share(world: World, customer: Customer, day: int | None = None) -> Transaction:
    """A customer of the CRM is created in the ERP too."""
    row, touched, fact = shared_row(world, customer, day)
    return Transaction(ERP, "customer_shared", [("insert_cust_1", row)], touched, facts=[fact])


def shared_row(world: World, customer: Customer, day: int | None) -> tuple[Row, list[Touched], Fact]:
    """The ERP's row of a customer that the CRM knows, and the fact that was planted."""
    rng = world.rng
    firm = customer.firm
    shown: dict[str, list[str]] = {}
    if rng.random() < world.conflicting / max(world.shared, 1e-9):
        fields = [name for name in ("phone", "email", "street") if rng.random() < 0.5] or ["phone"]
        firm, shown = contradict(world, firm, *fields)
    by_tax_id = firm.tax_id is not None and rng.random() < 0.4
    customer.erp_id = world.ids.next("cust")
    world.erp_customers.add(customer)
    world.both_customers.add(customer)
    fact = {
        "fact": "shared",
        "by": "tax_id" if by_tax_id else "reference",
        "crm": customer.crm_id,
        "erp": customer.erp_id,
        "conflicts": shown,
    }
    row = cust_row(world, firm, customer.erp_id, None if by_tax_id else customer.crm_id, day)
    return row, [("erp.cust", str(customer.erp_id), "c")], fact


def remember(world: World, customer: Customer) -> None:
    """Remember a new customer, and forget another one when there are too many."""
    for pool, known in ((world.crm_customers, customer.crm_id), (world.erp_customers, customer.erp_id)):
        if known is not None:
            pool.add(customer)
            if len(pool) > REMEMBERED:
                pool.take(world.rng)


def contradict_later(world: World) -> list[Transaction]:
    """Somebody changes, in one system only, a field of a customer that both systems have."""
    rng = world.rng
    customer = world.both_customers.pick(rng)
    if customer is None:
        return begin(world)
    firm = customer.firm
    name = choose(rng, ("phone", "email", "street"))
    value: str
    if name == "phone":
        national = vocabulary.phone(rng, firm.country)
        value, crm, erp = (
            f"+{firm.country.phone}{national}",
            vocabulary.typed_phone(rng, firm.country, national),
            vocabulary.national_phone(firm.country, national),
        )
    elif name == "email":
        value = crm = erp = f"desk{int(rng.random() * 1000)}@{firm.domain}"
    else:
        value = crm = erp = f"{choose(rng, vocabulary.STREETS)} {300 + int(rng.random() * 600)}"
    system, table, key, text = (
        (CRM, "account", customer.crm_id, crm) if rng.random() < 0.5 else (ERP, "cust", str(customer.erp_id), erp)
    )
    fact = {
        "fact": "changed_in_one",
        "system": system,
        "crm": customer.crm_id,
        "erp": customer.erp_id,
        "field": "billing_street" if name == "street" else name,
        "value": value,
    }
    schema = "public" if system == CRM else "erp"
    return [
        Transaction(
            system,
            "customer_contradicted",
            [(f"{table}_{name}", (key, text))],
            [(f"{schema}.{table}", str(key), "u")],
            facts=[fact],
        )
    ]
