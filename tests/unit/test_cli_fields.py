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


def test_a_text_stands_between_quotes_and_nothing_is_said_so() -> None:
    assert shown("customer", "phone", "+49 30") == '"+49 30"'
    assert typed("customer", "phone", "+49 30") == "+49 30"
    assert shown("customer", "credit_limit", None) == "nothing"


@pytest.mark.parametrize(
    ("entity", "field", "text", "words"),
    [
        ("customer", "credit_limit", "much", "1250.50"),
        ("customer", "credit_blocked", "perhaps", "true or false"),
        ("opportunity", "stage", "gone", "one of prospecting"),
        ("customer", "colour", "red", "docs/model.md"),
    ],
)
def test_a_value_that_the_field_can_not_have_is_refused_with_its_form(
    entity: str, field: str, text: str, words: str
) -> None:
    with pytest.raises(ConfigError) as error:
        typed(entity, field, text)
    assert words in f"{error.value} {error.value.remedy}"
