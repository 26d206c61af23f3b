"""Values that stand for anybody: numbers that people enter because a form wants one, and numbers that authorities give
for all who have none.

They may be valid, and are stored; but two records that carry one are not the same. So they are no match key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files

_CACHED = 20_000
"""Values that are remembered: more than the customers of most companies, and a few megabytes."""

_UP, _DOWN = "0123456789" * 3, "9876543210" * 3
_SHORTEST = 6
"""A run of fewer digits occurs in many real numbers."""

_GENERIC_TAX_IDS = re.compile(
    "|".join(
        (
            r"(?:MX)?X[AE]XX010101000",  # Mexico: the public, foreigners
            r"(?:MX)?([A-ZÑ&])\1{2,3}010101[A-Z0-9]{3}",  # Mexico: samples such as AAA010101AAA
            r"(?:MY)?EI000000000[1-4]0",  # Malaysia: the public, foreign buyers, foreign suppliers, authorities
            r"(?:BO)?9900[1-3]",  # Bolivia: foreigners, control, small sales of a day
            r"(?:AR)?(?:50000|55000|51600)[0-9]{6}",  # Argentina: all people, or all companies, of one foreign country
            r"(?:IN)?[0-9]{2}(?:([A-Z])\2{4}[0-9]{4}|ABCDE1234)[A-Z0-9]{4}",  # India: samples such as 22AAAAA0000A1Z5
            r"(?:BR)?([1-9])\3{7}000[0-9]{3}",  # Brazil: 99999999000191 is the company of the test system
            r"(?:SA)?3([0-9])\4{8}[0-9]{4}3",  # Saudi Arabia: samples such as 399999999900003
        )
    )
)
_TAX_SUFFIX = re.compile(r"(?<=[0-9])(MVA|MWST|TVA|IVA|TPV|VAT|B[0-9]{2})$")

_FICTIONAL_PHONES = re.compile(
    # Numbers that authorities keep free for films and examples: North America, United Kingdom.
    r"1[0-9]{3}55501[0-9]{2}|44(1632960|7700900|2079460|1[0-9]{2}4960|8081570|9098790)[0-9]{3}"
)
_NOBODYS_MAILBOX = frozenset("noreply donotreply none na nn nomail noemail unknown keine test".split())
_NOBODYS_DOMAIN = frozenset(
    "example.com example.org example.net test.com test.de none.com nomail.com noemail.com noreply.com".split()
)
_WORDS = frozenset(
    "none null nil na nan unknown unbekannt inconnu desconocido tbd test dummy keine 无 未知 不详".split()
)

_PROVIDERS_EVERYWHERE = frozenset("gmail googlemail hotmail outlook yahoo ymail gmx yandex".split())
"""Providers with a domain in many countries, such as yahoo.com.pe: no list has them all."""
_NO_DIGITS = re.compile("[^0-9]+")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")


CHECKED_FIELDS = frozenset(("tax_id", "gtin", "phone", "email", "email_domain"))
"""Fields with values of their own kind; in others only zeros and words stand for anybody."""


@lru_cache(maxsize=_CACHED)
def stands_for_anybody(field: str, value: str) -> bool:
    """Whether a value of this canonical field names nobody in particular.

    `field` may be `email_domain`, the part of an e-mail address after the @. A tax number may begin with the letters of
    its country.
    """
    if field == "email_domain":
        return is_public_mail_domain(value)
    if field == "email":
        return _is_nobodys_address(value.casefold())
    text = value.upper() if value.isalnum() else _NOT_ALPHANUMERIC.sub("", value.upper())
    if field == "tax_id":
        return _is_generic_tax_id(text)
    digits = _NO_DIGITS.sub("", text)
    if field == "gtin":
        return any(map(_is_filler, (digits, digits[:-1], digits[1:-1])))
    if field == "phone":
        number = value.partition(";")[0]
        return _is_filler(_NO_DIGITS.sub("", number)[-7:]) or bool(
            _FICTIONAL_PHONES.fullmatch(number.removeprefix("+"))
        )
    return says_nothing(text.casefold())


def says_nothing(text: str) -> bool:
    """Whether a text of small letters and digits stands in place of a value: zeros, or a word such as none."""
    return not text.strip("0") or text in _WORDS


def is_public_mail_domain(domain: str) -> bool:
    """Whether anybody can have an address at this domain or at one above it."""
    labels = domain.casefold().rstrip(".").split(".")
    known = _public_mail_domains()
    if any(".".join(labels[at:]) in known for at in range(len(labels) - 1)):
        return True
    # hotmail.ve, yahoo.com.pe
    short = len(labels[-1]) <= 3
    return short and (
        (labels[-2:-1] != [] and labels[-2] in _PROVIDERS_EVERYWHERE)
        or (len(labels) > 2 and len(labels[-2]) <= 3 and labels[-3] in _PROVIDERS_EVERYWHERE)
    )


@cache
def _public_mail_domains() -> frozenset[str]:
    text = files("streams.mapping").joinpath("public_mail_domains.txt").read_text(encoding="ascii")
    return frozenset(line for line in text.split() if "." in line)


def _is_nobodys_address(address: str) -> bool:
    mailbox, _, domain = address.rpartition("@")
    return re.sub(r"[^a-z]", "", mailbox) in _NOBODYS_MAILBOX or domain in _NOBODYS_DOMAIN


def _is_generic_tax_id(text: str) -> bool:
    if _GENERIC_TAX_IDS.fullmatch(text):
        return True
    digits = text if text.isdigit() else _NO_DIGITS.sub("", _TAX_SUFFIX.sub("", text))
    # The middle is in each of the payloads. Of most numbers it is nothing special, which is quickly seen.
    middle = digits[2:-3]
    if len(middle) > 3 and not _is_regular(middle):
        return False
    # Four digits are the least that a company's number has; 1-9 is what people in Chile enter.
    return len(digits) < 4 or any(map(_is_filler, _payloads(digits)))


def _payloads(digits: str) -> Iterator[str]:
    """The digits without what some country adds to a number: up to two check digits, a kind, a number of a branch."""
    for start in (0, 1, 2):
        for end in (0, 1, 2):
            # The more is left out, the more may a real number look like it.
            if start + end <= 2 or len(digits) - start - end > _SHORTEST + 1:
                yield digits[start : len(digits) - end]
    if digits[:1] != "0":  # old companies have numbers with many zeros: 00000000000191 is Banco do Brasil
        yield digits[:-3]


def _is_filler(digits: str) -> bool:
    """Whether digits are one digit repeated, two or three repeated, or all in order."""
    if len(digits) < _SHORTEST:
        return False
    # 121212121, 123123123: of few digits that may be chance.
    return _is_regular(digits, 1 if len(digits) < _SHORTEST + 3 else 3)


def _is_regular(digits: str, longest: int = 3) -> bool:
    """Whether digits are all in order, or the same up to `longest` digits again and again."""
    return (
        digits[1:] == digits[:-1]
        or (longest > 1 and (digits[2:] == digits[:-2] or digits[3:] == digits[:-3]))
        or digits in _UP
        or digits in _DOWN
    )
