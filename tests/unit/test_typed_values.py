"""Values on the command line: the text that is shown is the text that can be typed."""

from __future__ import annotations

import pytest

from streams.dictionary.typed_values import parse_value, readable_value
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
def test_parsed_value_is_readable_as_the_same_text(entity: str, field: str, text: str, value: object) -> None:
    assert parse_value(entity, field, text) == value
    assert readable_value(entity, field, value).strip('"') == text


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("phone", "+49 30 901820", "+4930901820"),
        ("email", "Info@Bolt.example", "info@bolt.example"),
        ("tax_id", "DE 136 695 976", "DE136695976"),
        ("shipping_country", "Germany", "DE"),
    ],
)
def test_parsed_value_has_the_form_in_which_systems_values_arrive(field: str, text: str, value: str) -> None:
    assert parse_value("customer", field, text) == value


def test_text_is_quoted_and_null_is_nothing() -> None:
    assert readable_value("customer", "phone", "+49 30") == '"+49 30"'
    assert parse_value("customer", "notes", "+49 30") == "+49 30"
    assert readable_value("customer", "credit_limit", None) == "nothing"


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
def test_value_that_a_field_cannot_have_is_refused_with_the_right_form(
    entity: str, field: str, text: str, words: str
) -> None:
    with pytest.raises(ConfigError) as error:
        parse_value(entity, field, text)
    assert words in f"{error.value} {error.value.remedy}"
