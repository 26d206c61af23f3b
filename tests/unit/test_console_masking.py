"""Personal data is masked for those who may not see it."""

from __future__ import annotations

from streams.console.masking import DOTS, mask, mask_row, mask_value, masked_fields
from streams.console.people import Grant, Person

VIEWER = Person("vera", (Grant("viewer"),), plain_fields=frozenset({"customer.name"}))
STEWARD = Person("stefan", (Grant("steward"),))
ADMIN = Person("ada", (Grant("admin"),))
LOCAL = Person("root", (Grant("admin"),), is_local=True)

CUSTOMER = {
    "id": "1", "name": "Acme GmbH", "email": "anna@acme.example", "phone": "+4930123456", "credit_limit": 50_000,
    "billing_street": "12 Main Street", "notes": None, "status": "active", "attributes": {"birthday": "1980-01-01"},
}  # fmt: skip


def test_marked_fields_are_masked_and_others_are_not() -> None:
    assert mask(CUSTOMER, "customer", VIEWER) == {
        "id": "1", "name": "Acme GmbH", "email": "a…@…", "phone": DOTS, "credit_limit": DOTS, "billing_street": DOTS,
        "notes": None, "status": "active", "attributes": {"birthday": DOTS},
    }  # fmt: skip
    assert mask(CUSTOMER, "customer", STEWARD)["name"] == "A… G…"


def test_admins_and_the_local_person_see_all() -> None:
    assert mask(CUSTOMER, "customer", ADMIN) == mask(CUSTOMER, "customer", LOCAL) == CUSTOMER
    assert masked_fields(CUSTOMER, "customer", ADMIN) == []


def test_an_admin_of_one_entity_sees_only_that() -> None:
    person = Person("emil", (Grant("admin", entity="contact"), Grant("viewer")))
    assert mask_value("Anna", "contact", "first_name", person) == "Anna"
    assert mask_value("anna@acme.example", "customer", "email", person) == "a…@…"


def test_lines_are_masked_as_their_own_entity() -> None:
    order = {"number": "SO-1", "lines": [{"line_no": "1", "attributes": {"engraving": "For Anna"}}]}
    assert mask(order, "sales_order", VIEWER)["lines"] == [{"line_no": "1", "attributes": {"engraving": "F… A…"}}]


def test_masked_fields_are_those_with_a_value() -> None:
    assert masked_fields(CUSTOMER, "customer", VIEWER) == [
        "email", "phone", "credit_limit", "billing_street", "attributes",
    ]  # fmt: skip


def test_a_row_of_unknown_columns_keeps_no_text() -> None:
    row = {"id": 7, "name": "Anna", "tags": ["vip"], "deep": {"mail": "a@b.example"}, "gone": None, "open": True}
    assert mask_row(row, STEWARD) == {
        "id": 7, "name": "A…", "tags": ["v…"], "deep": {"mail": "a…@…"}, "gone": None, "open": True,
    }  # fmt: skip
    assert mask_row(row, LOCAL) == row


def test_short_and_long_texts_give_nothing_away() -> None:
    values = ["X", "李", "", "12345", "a" * 61]
    assert [mask_value(value, "contact", "last_name", VIEWER) for value in values] == [DOTS] * 5
    assert mask_value(True, "customer", "credit_blocked", VIEWER) == DOTS
