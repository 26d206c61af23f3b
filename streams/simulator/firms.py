"""How one company is written down as rows of the CRM and of the ERP, and operations that begin, share or contradict it."""

from __future__ import annotations

from typing import Any

from streams.simulator import words
from streams.simulator.session import Statement
from streams.simulator.words import Firm, one
from streams.simulator.world import CRM, ERP, Customer, Touched, Transaction, World

REMEMBERED = 50_000
"""Customers of a kind that the company has in mind; others are left alone from then on."""


def account_row(world: World, firm: Firm, key: str, created: str) -> list[Any]:
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
        firm.tax_id and words.typed_tax_id(rng, firm.tax_id),
        email,
        words.typed_phone(rng, place, firm.phone),
        f"https://www.{firm.domain}" if rng.random() < 0.5 else f"www.{firm.domain}",
        one(rng, words.INDUSTRIES),
        words.TIERS[firm.tier],
        "Active" if rng.random() < 0.7 else "Prospect",
        place.currency,
        place.locale,
        firm.street,
        firm.city,
        firm.postal_code,
        place.name,
        *shipping,
        one(rng, words.OWNERS),
        [words.TAGS[i] for i in range(len(words.TAGS)) if rng.random() < 0.15],
        words.filler(rng, 420) if rng.random() < 0.12 else (words.filler(rng, 12) if rng.random() < 0.5 else None),
        created,
    ]


def cust_row(world: World, firm: Firm, key: int, crm_ref: str | None, day: int | None) -> list[Any]:
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
        words.national_phone(place, firm.phone),
        firm.email,
        place.currency,
        place.erp_lang,
        one(rng, ("14N", "30N", "30N", "60N")),
        f"{5_000 * (1 + int(rng.random() * 40))}.00",
        words.GROUPS[firm.tier],
        one(rng, words.SALESMEN),
        None,
        day,
    ]


def contact_row(world: World, customer: Customer, key: str, primary: bool, created: str) -> list[Any]:
    """Values for CRM_INSERTS["contact"]."""
    rng, firm = world.rng, customer.firm
    first, last = one(rng, words.FIRST), one(rng, words.LAST)
    return [
        key,
        customer.crm_id,
        first,
        last,
        f"c{key[:8]}@{firm.domain}",
        words.typed_phone(rng, firm.country, words.phone(rng, firm.country)),
        one(rng, words.TITLES),
        firm.country.locale,
        primary,
        created,
    ]


def new_firm(world: World) -> Firm:
    """The next company."""
    world.next_firm += 1
    return words.firm(world.rng, world.next_firm)


def add_account(world: World, firm: Firm, created: str = "now") -> tuple[Customer, list[Statement], list[Touched]]:
    """A company new in the CRM, with one to three people."""
    customer = Customer(firm, crm_id=world.uuid())
    assert customer.crm_id is not None
    statements: list[Statement] = [("insert_account_1", account_row(world, firm, customer.crm_id, created))]
    touched: list[Touched] = [("public.account", customer.crm_id, "c")]
    people = 1 + int(world.rng.random() ** 2 * 3)
    values: list[Any] = []
    for number in range(people):
        key = world.uuid()
        customer.contacts.append(key)
        values += contact_row(world, customer, key, number == 0, created)
        touched.append(("public.contact", key, "c"))
    statements.append((f"insert_contact_{people}", values))
    return customer, statements, touched


def contradict(world: World, firm: Firm, *fields: str) -> tuple[Firm, dict[str, list[str]]]:
    """The same company as the ERP has it wrong: other values of `fields`, and {field: [the CRM's, the ERP's]} in canonical spelling."""
    rng = world.rng
    changes: dict[str, str] = {}
    shown: dict[str, list[str]] = {}
    for name in fields:
        if name == "phone":
            changes["phone"] = words.phone(rng, firm.country)
            shown["phone"] = [
                f"+{firm.country.phone}{firm.phone.removeprefix('0') if firm.country.iso != 'IT' else firm.phone}",
                f"+{firm.country.phone}{changes['phone']}",
            ]
        elif name == "email":
            changes["email"] = f"buchhaltung@{firm.domain}"
            shown["email"] = [firm.email, changes["email"]]
        else:
            changes["street"] = f"{one(rng, words.STREETS)} {200 + int(rng.random() * 50)}"
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
    facts: list[dict[str, Any]] = []
    if drawn > 0.99 and (like := world.crm_customers.pick(rng)) is not None and not like.shared:
        # Another company of the same name in the same town: whoever links the two is wrong.
        firm = firm._replace(
            name=like.firm.name,
            legal_name=like.firm.legal_name,
            city=like.firm.city,
            country=like.firm.country,
            tax_id=words.tax_id(like.firm.country.iso, firm.number),
            phone=words.phone(rng, like.firm.country),
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
    """A customer that both systems know, by reference or by its tax number only, and on which they may disagree."""
    customer, statements, touched = add_account(world, firm)
    remember(world, customer)
    return [Transaction(CRM, "customer_in_both", statements, touched), share(world, customer)]


def share(world: World, customer: Customer, day: int | None = None) -> Transaction:
    """The ERP learns of a customer of the CRM."""
    row, touched, fact = shared_row(world, customer, day)
    return Transaction(ERP, "customer_shared", [("insert_cust_1", row)], touched, facts=[fact])


def shared_row(world: World, customer: Customer, day: int | None) -> tuple[list[Any], list[Touched], dict[str, Any]]:
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
    """Keep a new customer in mind, and forget another when there are too many."""
    for pool, known in ((world.crm_customers, customer.crm_id), (world.erp_customers, customer.erp_id)):
        if known is not None:
            pool.add(customer)
            if len(pool) > REMEMBERED:
                pool.take(world.rng)


def contradict_later(world: World) -> list[Transaction]:
    """Somebody changes, in one system only, what both know of a customer."""
    rng = world.rng
    customer = world.both_customers.pick(rng)
    if customer is None:
        return begin(world)
    firm = customer.firm
    name = one(rng, ("phone", "email", "street"))
    value: str
    if name == "phone":
        national = words.phone(rng, firm.country)
        value, crm, erp = (
            f"+{firm.country.phone}{national}",
            words.typed_phone(rng, firm.country, national),
            words.national_phone(firm.country, national),
        )
    elif name == "email":
        value = crm = erp = f"desk{int(rng.random() * 1000)}@{firm.domain}"
    else:
        value = crm = erp = f"{one(rng, words.STREETS)} {300 + int(rng.random() * 600)}"
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
