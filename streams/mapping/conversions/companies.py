"""The conversion of names of companies, with their legal forms."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Literal

from streams.mapping.values.text import text_of

Convert = Callable[..., str | None]

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
