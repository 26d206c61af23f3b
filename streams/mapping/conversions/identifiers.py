"""Conversions of identifiers with rules of their own: tax ids, bank accounts, article numbers, names of companies."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Literal

from streams.mapping.conversions.contact import country_code
from streams.mapping.row_errors import BadValue
from streams.mapping.values.text import text_of

Convert = Callable[..., str | None]
_CACHED = 20_000
"""Values that a slow check remembers: more than the customers of most companies, and a few megabytes."""


@cache
def _tax_module(country: str) -> Any:
    """python-stdnum's module for the tax number that a country's companies show on invoices; None if it has none."""
    from stdnum import get_cc_module

    if country == "CN":
        return get_cc_module("cn", "uscc")
    if country == "US":
        return get_cc_module("us", "ein")
    return get_cc_module("gr" if country == "EL" else country.lower(), "vat")


_EU_PREFIXES = frozenset("AT BE BG CY CZ DE DK EE EL ES FI FR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK XI".split())


def tax_id(country: str | None = None, country_column: str | None = None) -> Convert:
    """Checks the check digits of a tax number and removes its spaces, points and dashes: EU VAT numbers,
    统一社会信用代码, numbers of GB, CH, US and more.

    The country is taken from the letters at the start (EU), else from the row's `country_column`, else from `country`.
    An empty text becomes null. A Swiss number loses its suffix (MWST, TVA …), which names the tax and not the company.
    Rules: the Python package `python-stdnum`.

    Example: `{tax_id: {country: DE}}`: `136 695 976` → `DE136695976`
    """
    if country is not None and _tax_module(country) is None:
        raise ValueError(f"tax numbers of {country} are not known")
    code_of = country_code()

    def convert(value: object, where: object = None) -> str | None:
        text = text_of(value)
        return read(text, None if where is None else text_of(where)) if text else None

    @lru_cache(maxsize=_CACHED)
    def read(value: str, where: str | None) -> str | None:
        text = re.sub(r"[\s.\-/·]", "", unicodedata.normalize("NFKC", value)).upper()
        if not text:
            return None
        prefix = text[:2]
        # A name may start with the same two letters; a number of the EU has a digit after them.
        if prefix in _EU_PREFIXES and any(c.isdigit() for c in text[2:]):
            return _checked(text[2:], "GR" if prefix == "EL" else prefix, prefix, value)
        rules = country
        if where not in (None, ""):
            try:
                rules = code_of(where) or country
            except BadValue:
                rules = country
        if rules is None:
            raise BadValue("a tax number without the letters of a country, and the step has no `country`", value)
        prefix = "EL" if rules == "GR" else rules  # VAT numbers of Greece start with EL
        has_prefix = prefix in _EU_PREFIXES or rules in ("GB", "CH")
        return _checked(text.removeprefix(rules), rules, prefix if has_prefix else "", value)

    return convert


def _checked(number: str, country: str, prefix: str, value: object) -> str:
    """A tax number by the rules of a country, with its `prefix`. Raises BadValue, which says what is wrong with it."""
    from stdnum.exceptions import InvalidChecksum, InvalidLength, ValidationError

    # XI is Northern Ireland: its numbers have the rules of Great Britain.
    module = _tax_module("GB" if country == "XI" else country)
    if module is None:
        raise BadValue(f"tax numbers of {country} are not known", value)
    try:
        valid = str(_swiss(number) if country == "CH" else module.validate(number))
    except InvalidChecksum:
        raise BadValue(f"a tax number of {country} with a wrong check digit", value) from None
    except InvalidLength:
        raise BadValue(f"a tax number of {country} with too many or too few digits", value) from None
    except (ValidationError, ValueError):
        raise BadValue(f"not a tax number of {country}", value) from None
    if country == "CH":
        # The number identifies the company. After it comes the name of the tax in one of four languages, or nothing.
        return valid[:12]
    return valid if valid.startswith(prefix) else prefix + valid


def _swiss(number: str) -> str:
    from stdnum.ch import uid

    digits = number.removeprefix("CHE").removeprefix("E")
    return str(uid.validate("CHE" + re.sub("(MWST|TVA|IVA|TPV)$", "", digits)))


def iban() -> Convert:
    """Checks the check digits of a bank account number (IBAN) and removes its spaces. An empty text becomes null.

    Example: `iban`: `DE89 3704 0044 0532 0130 00` → `DE89370400440532013000`
    """
    from stdnum import iban as rules

    return _checked_number(rules, "IBAN")


def gtin() -> Convert:
    """Checks the check digit of an article number (GTIN-8, 12, 13 or 14; EAN, UPC) and removes its spaces. Leading
    zeros that only fill a longer form are removed. An empty text becomes null.

    Example: `gtin`: `"04006381333931"` → `4006381333931`
    """
    from stdnum import ean as rules

    checked = _checked_number(rules, "GTIN")

    def convert(value: object) -> str | None:
        number = checked(value)
        if number is None:
            return None
        digits = number.lstrip("0")
        return digits.zfill(next(length for length in (8, 12, 13, 14) if len(digits) <= length))

    return convert


def _checked_number(rules: Any, name: str) -> Convert:
    """A conversion by one module of python-stdnum."""
    from stdnum.exceptions import InvalidChecksum, ValidationError

    def convert(value: object) -> str | None:
        text = re.sub(r"[\s\-]", "", text_of(value))
        if not text:
            return None
        if not text.isascii():
            raise BadValue(f"not an {name}", value)
        try:
            return str(rules.validate(text))
        except InvalidChecksum:
            raise BadValue(f"an {name} with a wrong check digit", value) from None
        except (ValidationError, ValueError):
            raise BadValue(f"not an {name}", value) from None

    return convert


_WRITTEN = """
GmbH & Co. KG | GmbH & Co. KGaA | GmbH & Co. OHG | AG & Co. KG | GmbH | mbH | gGmbH | UG | UG (haftungsbeschränkt)
AG | KG | KGaA | OHG | GbR | e.K. | eG | e.V. | SE | Ltd | Limited | plc | LLP | LLC | Inc. | Incorporated | Corp.
Corporation | Co. | Company | Co., Ltd. | Pty Ltd | Pte. Ltd. | Pvt. Ltd. | S.A. | SAS | SASU | SARL | EURL | S.L.
S.L.U. | S.p.A. | S.r.l. | Lda. | B.V. | N.V. | V.O.F. | AB | AS | A/S | ApS | Oy | Oyj | Sp. z o.o. | s.r.o. | Kft.
Zrt. | d.o.o. | Ltda. | OÜ | K.K.
"""
_CJK_FORMS = ("集团有限公司", "股份有限公司", "有限责任公司", "有限公司", "株式会社")


def _form_key(form: str) -> str:
    """A legal form in the form in which it is compared: small letters, no points, no spaces."""
    return re.sub(r"[.,()\s]", "", form.casefold().replace(" und ", " & "))


_LEGAL_FORMS = {_form_key(form): form.strip() for form in re.split(r"[|\n]", _WRITTEN.strip())}
"""Legal forms in the form of `_form_key` → as they are usually written."""

_LONGEST_FORM = max(len(form.split()) for form in _LEGAL_FORMS.values())


def split_company(name: str) -> tuple[str, str]:
    """(a company's name without its legal form, the legal form as it is usually written). The form is '' if the name
    has none.
    """
    text = " ".join(unicodedata.normalize("NFKC", name).split())
    for form in _CJK_FORMS:
        if text.endswith(form) and len(text) > len(form):
            return text[: -len(form)].rstrip(), form
    words = text.split(" ")
    for count in range(min(_LONGEST_FORM + 1, len(words) - 1), 0, -1):
        written = _LEGAL_FORMS.get(_form_key(" ".join(words[-count:])))
        if written is not None:
            return " ".join(words[:-count]).rstrip(" ,"), written
    return text, ""


def company_name(legal_form: Literal["keep", "drop", "only"] = "keep") -> Convert:
    """Writes the legal form in a company's name as it is usually written, and single spaces. `legal_form: drop` removes
    the form (to compare names), `only` takes the form alone. An empty result becomes null.

    Example: `company_name`: `Huber  gmbh & co.kg` → `Huber GmbH & Co. KG`
    """

    def convert(value: object) -> str | None:
        name, form = split_company(text_of(value))
        if legal_form == "drop":
            return name or None
        if legal_form == "only":
            return form or None
        if form in _CJK_FORMS:
            return name + form
        return f"{name} {form}".strip() or None

    return convert
