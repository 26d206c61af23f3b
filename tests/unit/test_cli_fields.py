"""Values on the command line: what is shown is what can be typed."""

from __future__ import annotations

import pytest

from streams.cli.fields import shown, typed
from streams.errors import ConfigError


@pytest.mark.parametrize(
    ("entity", "field", "text", "value"),
    [
        ("customer", "credit_limit", "1250.5", 1250_5000),
        ("customer", "credit_blocked", "true", True),
        ("customer", "payment_terms_days", "30", 30),
        ("sales_order", "order_date", "2026-03-31", 20543),
        ("opportunity", "stage", "won", "won"),
    ],
)
def test_what_is_typed_is_shown_again(entity: str, field: str, text: str, value: object) -> None:
    assert typed(entity, field, text) == value
    assert shown(entity, field, value).strip('"') == text


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("phone", "+49 30 901820", "+4930901820"),
        ("email", "Info@Bolt.example", "info@bolt.example"),
        ("tax_id", "DE 136 695 976", "DE136695976"),
        ("shipping_country", "Germany", "DE"),
    ],
)
def test_what_is_typed_takes_the_form_in_which_systems_values_come(field: str, text: str, value: str) -> None:
    assert typed("customer", field, text) == value


def test_a_text_stands_between_quotes_and_nothing_is_said_so() -> None:
    assert shown("customer", "phone", "+49 30") == '"+49 30"'
    assert typed("customer", "notes", "+49 30") == "+49 30"
    assert shown("customer", "credit_limit", None) == "nothing"


@pytest.mark.parametrize(
    ("entity", "field", "text", "words"),
    [
        ("customer", "credit_limit", "much", "1250.50"),
        ("customer", "credit_blocked", "perhaps", "true or false"),
        ("opportunity", "stage", "gone", "one of prospecting"),
        ("customer", "colour", "red", "docs/model.md"),
        ("customer", "phone", "none", "+49 30 901820"),
        ("customer", "tax_id", "DE136695975", "wrong check digit"),
        ("customer", "billing_country", "Nowhere", "Nowhere"),
    ],
)
def test_a_value_that_the_field_can_not_have_is_refused_with_its_form(
    entity: str, field: str, text: str, words: str
) -> None:
    with pytest.raises(ConfigError) as error:
        typed(entity, field, text)
    assert words in f"{error.value} {error.value.remedy}"
