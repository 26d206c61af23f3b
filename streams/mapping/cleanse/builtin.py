"""The table of built-in conversions: the name that a dictionary writes, and the factory that makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.mapping.cleanse import amounts, contact, dates, identifiers, words

BUILTIN: dict[str, Callable[..., Callable[..., Any]]] = {
    "absolute": amounts.absolute,
    "boolean": words.boolean,
    "collapse": words.collapse,
    "company_name": identifiers.company_name,
    "country": contact.country_code,
    "currency": contact.currency_code,
    "date": dates.date_in,
    "date_of": dates.date_of,
    "datetime": dates.datetime_in,
    "decimal": amounts.decimal,
    "email": contact.email,
    "epoch": dates.epoch,
    "extract": words.extract,
    "gtin": identifiers.gtin,
    "html_text": words.html_text,
    "iban": identifiers.iban,
    "language": contact.language_code,
    "list": words.list_of,
    "local_time": dates.local_time,
    "lower": words.lower,
    "max_length": words.max_length,
    "minor_units": amounts.minor_units,
    "mojibake": words.mojibake,
    "multiply": amounts.multiply,
    "negate": amounts.negate,
    "nfc": words.nfc,
    "nfkc": words.nfkc,
    "null_date": dates.null_date,
    "null_if": words.null_if,
    "pattern": words.pattern,
    "phone": contact.phone,
    "strip_control": words.strip_control,
    "strip_zeros": words.strip_zeros,
    "tax_id": identifiers.tax_id,
    "title": words.title,
    "trim": words.trim,
    "unit": amounts.unit,
    "unit_code": amounts.unit_code,
    "upper": words.upper,
    "url": contact.url,
    "yyyymmdd": dates.yyyymmdd,
    "zero_pad": words.zero_pad,
}
