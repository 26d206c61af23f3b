"""The conversion of names of companies, with their legal forms."""

# ruff: noqa: RUF001 - forms in other scripts have letters that only look like Latin ones

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Literal, NamedTuple

from streams.mapping.values.text import text_of

Convert = Callable[..., str | None]

_WRITTEN = """
GmbH & Co. KG | GmbH & Co. KGaA | GmbH & Co. OHG | AG & Co. KG | UG (haftungsbeschränkt) & Co. KG | GmbH | mbH | gGmbH
UG | UG (haftungsbeschränkt) | AG | KG | KGaA | OHG | GbR | e.K. | e.Kfm. | e.Kfr. | eG | e.V. | SE | GesmbH
Aktiengesellschaft | Gesellschaft mbH | Gesellschaft mit beschränkter Haftung | Kommanditgesellschaft
Ltd | Limited | plc | LLP | LLC | Inc. | Incorporated | Corp. | Corporation | Co. | Company | Co., Ltd. | Pty Ltd
Pte. Ltd. | Pvt. Ltd. | Private Limited | Public Limited Company | LP | Sdn. Bhd. | Bhd.
S.A. | SAS | SASU | SARL | EURL | SNC | SCI | S.L. | S.L.U. | S.A.U. | S.C. | S.A. de C.V. | S.A.B. de C.V.
S. de R.L. de C.V. | S. de R.L. | S.A.P.I. de C.V. | S.A.C. | S.A.S. de C.V. | Ltda. | EIRELI | Lda.
S.p.A. | S.r.l. | S.n.c. | S.r.l.s. | B.V. | N.V. | V.O.F. | BVBA | SPRL | AB | Aktiebolag | AS | ASA | A/S
ApS | Oy | Oyj | Sp. z o.o. | Sp. k. | spółka z o.o. | s.r.o. | spol. s r.o. | Kft. | Zrt. | Nyrt. | Bt. | d.o.o.
d.d. | OÜ | SIA | UAB | A.Ş. | Ltd. Şti. | K.K. | ООО | АО | ПАО | ЗАО | ОАО | ТОВ | ИП | 주식회사 | 유한회사
"""
_OTHERWISE_WRITTEN = {"s/a": "S.A."}
_CJK_FORMS = (
    *("集团股份有限公司", "集团有限责任公司", "集团有限公司", "股份有限公司", "有限责任公司", "有限公司", "股份公司"),
    *("集團股份有限公司", "集團有限公司", "株式会社", "有限会社", "合同会社", "合資会社", "株式會社"),
)
"""Forms that stand behind a name without a space, those of Japan also before it. A longer form comes first."""
_JAPANESE_FORMS = ("株式会社", "有限会社", "合同会社", "合資会社", "株式會社")
_SHORT_CJK = {"(株)": "株式会社", "(有)": "有限会社", "(同)": "合同会社", "(주)": "주식회사", "(유)": "유한회사"}
"""What one sign (㈱) or parentheses stand for."""
_FORMS_BEFORE = frozenset("ООО АО ПАО ЗАО ОАО ТОВ ИП 주식회사 유한회사".split())
"""Forms that stand before a name."""
_QUOTES = "«»„“”\"'"


def _form_key(form: str) -> str:
    """A legal form in the form in which it is compared: small letters, no points, no spaces."""
    return re.sub(r"[.,()\s]", "", form.casefold().replace(" und ", " & "))


_LEGAL_FORMS = _OTHERWISE_WRITTEN | {_form_key(form): form.strip() for form in re.split(r"[|\n]", _WRITTEN.strip())}
"""Legal forms in the form of `_form_key` → as they are usually written."""

_LONGEST_FORM = max(len(form.split()) for form in _LEGAL_FORMS.values())


class _Company(NamedTuple):
    """The parts of a company's name; `form` is '' if it has none."""

    name: str
    form: str
    between: str = " "
    """What stands between the two."""
    form_first: bool = False


def _split(text: str) -> _Company:
    company = _split_glued(text)
    if company is not None:
        return company
    words = text.split(" ")
    if len(words) > 1 and words[0] in _FORMS_BEFORE:
        return _Company(" ".join(words[1:]), words[0], form_first=True)
    for count in range(min(_LONGEST_FORM + 1, len(words) - 1), 0, -1):
        typed = " ".join(words[-count:])
        written = _written(typed)
        if written is not None:
            return _Company(" ".join(words[:-count]).rstrip(" ,"), written)
    return _Company(text, "")


def _written(typed: str) -> str | None:
    key = _form_key(typed)
    if key == "as" and "." in typed:  # a.s. is Czech, AS Norwegian; A.S. may be Turkish
        return "a.s." if typed.islower() else typed
    return _LEGAL_FORMS.get(key)


def _split_glued(text: str) -> _Company | None:
    """A name with a form of East Asia, which needs no space."""
    for short, form in _SHORT_CJK.items():
        between = " " if form in _FORMS_BEFORE else ""
        if text.startswith(short) and len(text) > len(short):
            return _Company(text[len(short) :].lstrip(), form, between, form_first=True)
        if text.endswith(short) and len(text) > len(short):
            return _Company(text[: -len(short)].rstrip(), form, between)
    for form in _CJK_FORMS:
        if text.endswith(form) and len(text) > len(form):
            return _Company(text[: -len(form)].rstrip(), form, "")
    for form in _JAPANESE_FORMS:
        if text.startswith(form) and len(text) > len(form):
            return _Company(text[len(form) :].lstrip(), form, "", form_first=True)
    return None


def company_name(legal_form: Literal["keep", "drop", "only"] = "keep") -> Convert:
    """Writes the legal form in a company's name as it is usually written, and single spaces; full-width letters and
    signs become plain ones, and ㈱ 株式会社. `legal_form: drop` removes the form and quotation marks (to compare
    names), `only` takes the form alone. An empty result becomes null.

    Example: `company_name`: `Huber  gmbh & co.kg` → `Huber GmbH & Co. KG`
    """

    def convert(value: object) -> str | None:
        text = " ".join(unicodedata.normalize("NFKC", text_of(value)).split())
        company = _split(text)
        if legal_form == "drop":
            return company.name.strip(_QUOTES) or None
        if legal_form == "only":
            return company.form or None
        parts = (company.form, company.name) if company.form_first else (company.name, company.form)
        return company.between.join(filter(None, parts)) or None

    return convert
