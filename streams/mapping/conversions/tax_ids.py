"""The conversion of tax numbers of companies, with the question whose country's number one is."""

# ruff: noqa: RUF001 - signs that only look like plain ones are among what people type

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import NamedTuple

from streams.mapping.conversions.countries import row_country
from streams.mapping.notes import AddNote, no_note
from streams.mapping.placeholders import stands_for_anybody
from streams.mapping.row_errors import BadValue
from streams.mapping.values.text import text_of

Convert = Callable[..., str | None]
Check = Callable[[str], str]
"""The number in its short form. Raises ValueError (stdnum's ValidationError) if it is none."""

_CACHED = 20_000
"""Values that a slow check remembers: more than the customers of most companies, and a few megabytes."""

_EU = "AT BE BG CY CZ DE DK EE ES FI FR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()
_PREFIXES = {code: code for code in _EU} | {"GR": "EL", "GB": "GB", "XI": "XI", "CH": "CH", "NO": "NO", "EU": "EU"}
"""Rules whose numbers always have letters in front → the letters."""
_SAME_RULES = {"EL": "GR", "UK": "GB", "IM": "GB", "MC": "FR", "LI": "CH", "PR": "US"}
"""Country, or the letters of a number → whose rules hold."""
_SEPARATORS = re.compile(r"[\s.\-/·,_'’*]")
_LABEL = re.compile(
    r"^(?:[^0-9:：]*[:：]|(?:ust-?id(?:-?nr)?|vat|btw|tva|iva|tax|nif|cif|nip|rfc|cnpj|cpf|abn|gstin?|ein|tin|uid|org)\b"
    r"(?:[\s.#-]*(?:id|no|nr|reg|number|nummer)\b)*[\s.#-]+)",
    re.IGNORECASE,
)
"""A word for the number before it."""


class _Number(NamedTuple):
    text: str
    is_for_anybody: bool


def tax_id(country: str | None = None, country_column: str | None = None, note: AddNote = no_note) -> Convert:
    """Checks the check digits of a tax number and removes its spaces, points and dashes: EU VAT numbers,
    统一社会信用代码 (also the 15 digits before it), numbers of GB, CH, NO, US and more.

    The number is first read by the rules of the row's `country_column`, or else of `country`; if they do not fit, by
    those of the country whose letters it begins with. Numbers of the EU, GB, XI, CH and NO always get their letters,
    others only if they are not of the row's country. An empty text becomes null. A Swiss number loses its suffix (MWST,
    TVA …), which names the tax and not the company. A number that stands for anybody (XAXX010101000) gets a mapping
    note: it links no records. Rules: the Python package `python-stdnum`.

    Example: `{tax_id: {country: DE}}`: `136 695 976` → `DE136695976`
    """
    if country is not None and not _checks(_SAME_RULES.get(country, country)):
        raise ValueError(f"tax numbers of {country} are not known")
    home_of = row_country(country)

    @lru_cache(maxsize=_CACHED)
    def read(value: str, where: str | None) -> _Number | None:
        text = _SEPARATORS.sub("", _LABEL.sub("", unicodedata.normalize("NFKC", value))).upper()
        if not text:
            return None
        made = _read(text, home_of(where), value)
        return _Number(made, stands_for_anybody("tax_id", made))

    def convert(value: object, where: object = None) -> str | None:
        text = text_of(value)
        number = read(text, None if where is None else text_of(where)) if text else None
        if number is None:
            return None
        if number.is_for_anybody:
            note("a tax number that stands for anybody links nothing", number.text)
        return number.text

    return convert


def _read(text: str, home: str | None, value: str) -> str:
    """The number by the rules of `home`, else by those of its letters. Raises BadValue, which says what is wrong."""
    from stdnum.exceptions import ValidationError

    prefix = text[:2] if text[:2].isalpha() and any(c.isdigit() for c in text[2:]) else ""
    errors: list[tuple[str, ValueError]] = []
    # Northern Ireland has the rules of Great Britain, and other letters.
    readings = [] if home is None or prefix == "XI" else [_SAME_RULES.get(home, home)]
    readings += [rules for rules in [_SAME_RULES.get(prefix, prefix)] if rules and rules not in readings]
    for rules in readings:
        # A number that consists of letters, such as that of Mexico, may itself begin with those of its country.
        for number in dict.fromkeys((_without_prefix(text, rules), text)):
            for check in _checks(rules):
                try:
                    return _with_prefix(check(number), rules, home)
                except (ValidationError, ValueError) as error:
                    errors.append((rules, error))
    if not errors:
        raise BadValue(_unknown(home, prefix), value)
    # Letters that many countries put in front are meant; others may be part of the number.
    meant = _SAME_RULES.get(prefix, prefix) if prefix in _KNOWN_PREFIXES else ""
    raise BadValue(_reason(*next((item for item in errors if item[0] == meant), errors[0])), value)


_KNOWN_PREFIXES = frozenset((*_PREFIXES.values(), "GR"))


def _unknown(home: str | None, prefix: str) -> str:
    if home is None and not prefix:
        return "a tax number without the prefix of a country, and the step has no `country`"
    return f"tax numbers of {home or prefix} are not known"


def _reason(rules: str, error: ValueError) -> str:
    from stdnum.exceptions import InvalidChecksum, InvalidLength

    if isinstance(error, InvalidChecksum):
        return f"a tax number of {rules} with a wrong check digit"
    if isinstance(error, InvalidLength):
        return f"a tax number of {rules} with too many or too few digits"
    return f"not a tax number of {rules}"


def _without_prefix(text: str, rules: str) -> str:
    """The number without the letters of its country; Greece has two pairs of them."""
    for prefix in {rules, _PREFIXES.get(rules, rules), *(k for k, v in _SAME_RULES.items() if v == rules)}:
        if text.startswith(prefix) and any(c.isdigit() for c in text[2:]):
            return text[len(prefix) :]
    return text


def _with_prefix(number: str, rules: str, home: str | None) -> str:
    prefix = _PREFIXES.get(rules)
    if prefix is None:
        prefix = "" if _SAME_RULES.get(home or "", home) == rules else rules
    return number if number.startswith(prefix) else prefix + number


@cache
def _checks(rules: str) -> tuple[Check, ...]:
    """What a tax number of this country may be; empty if it is not known."""
    own = _OWN_CHECKS.get(rules)
    if own is not None:
        return own
    return _module_checks(f"{'gr' if rules == 'EL' else rules.lower()}.vat")


def _module_checks(*names: str) -> tuple[Check, ...]:
    from stdnum import get_cc_module

    modules = [get_cc_module(*name.split(".")) for name in names]
    return tuple(module.validate for module in modules if module is not None)


def _swiss(number: str) -> str:
    from stdnum.ch import uid

    digits = number.removeprefix("CHE").removeprefix("E")
    return str(uid.validate("CHE" + re.sub("(HR)?(MWST|TVA|IVA|TPV|VAT)?$", "", digits)))


def _norwegian(number: str) -> str:
    """With MVA or without: it is the number of one organisation."""
    from stdnum.no import orgnr

    return f"NO{orgnr.validate(number.removesuffix('MVA'))}MVA"


def _japanese(number: str) -> str:
    from stdnum.jp import cn

    # With a T it is the number of an issuer of invoices, which is that of the company.
    return str(cn.validate(number.removeprefix("T")))


_KOREAN_WEIGHTS = (1, 3, 7, 1, 3, 7, 1, 3, 5)


def _korean(number: str) -> str:
    """사업자등록번호, with the check digit that python-stdnum leaves out."""
    from stdnum.exceptions import InvalidChecksum
    from stdnum.kr import brn

    digits = str(brn.validate(number))
    products = [int(digit) * weight for digit, weight in zip(digits, _KOREAN_WEIGHTS, strict=False)]
    if int(digits[-1]) != -(sum(products) + products[-1] // 10) % 10:
        raise InvalidChecksum
    return digits


_OLD_CHINESE = re.compile(r"[1-9][0-9]{5}([0-9A-Z]{8})([0-9X])")
_ORGANIZATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


def _old_chinese(number: str) -> str:
    """税务登记号 before 2015: six digits of the place, then 组织机构代码 by GB 11714 with its check digit."""
    from stdnum.exceptions import InvalidChecksum, InvalidFormat

    match = _OLD_CHINESE.fullmatch(number)
    if match is None:
        raise InvalidFormat
    total = sum(int(sign, 36) * weight for sign, weight in zip(match[1], _ORGANIZATION_WEIGHTS, strict=True))
    if match[2] != "0123456789X0"[11 - total % 11]:
        raise InvalidChecksum
    return number


def _pattern(form: str) -> Check:
    compiled = re.compile(form)

    def check(number: str) -> str:
        if compiled.fullmatch(number) is None:
            raise ValueError(number)
        return number

    return check


def _stdnum(*names: str) -> Iterable[Check]:
    """Checks by modules of python-stdnum, which are loaded when they are first needed."""

    def check(name: str) -> Check:
        return lambda number: str(_module_checks(name)[0](number))

    return [check(name) for name in names]


_OWN_CHECKS: dict[str, tuple[Check, ...]] = {
    "AE": (_pattern("100[0-9]{12}"),),  # the authority publishes no check digit
    "BR": (*_stdnum("br.cnpj", "br.cpf"),),
    "CH": (_swiss,),
    "CN": (*_stdnum("cn.uscc"), _old_chinese),
    "EU": (*_stdnum("eu.oss"),),
    "GB": (*_stdnum("gb.vat"),),
    "JP": (_japanese,),
    "KR": (_korean,),
    "NO": (_norwegian,),
    "SA": (_pattern("3[0-9]{13}3"),),  # the authority publishes no check digit
    "TH": (*_stdnum("th.tin"),),
    "TR": (*_stdnum("tr.vkn", "tr.tckimlik"),),
    "UA": (*_stdnum("ua.edrpou", "ua.rntrc"),),
    "US": (*_stdnum("us.ein"),),
    "XI": (*_stdnum("gb.vat"),),
}
"""Countries for which python-stdnum names no module, or more than one kind of number."""
