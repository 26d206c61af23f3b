"""The built-in conversions: the name that a dictionary uses, and the factory that makes the function."""

from __future__ import annotations

from collections.abc import Callable

from streams.mapping.conversions import amounts, contact, dates, identifiers, texts

BUILTIN: dict[str, Callable[..., Callable[..., object]]] = {
    "absolute": amounts.absolute,
    "boolean": texts.boolean,
    "collapse": texts.collapse,
    "company_name": identifiers.company_name,
    "country": contact.country_code,
    "currency": contact.currency_code,
    "date": dates.date_in,
    "date_of": dates.date_of,
    "datetime": dates.datetime_in,
    "decimal": amounts.decimal,
    "email": contact.email,
    "epoch": dates.epoch,
    "extract": texts.extract,
    "gtin": identifiers.gtin,
    "html_text": texts.html_text,
    "iban": identifiers.iban,
    "language": contact.language_code,
    "list": texts.list_of,
    "local_time": dates.local_time,
    "lower": texts.lower,
    "max_length": texts.max_length,
    "minor_units": amounts.minor_units,
    "mojibake": texts.mojibake,
    "multiply": amounts.multiply,
    "negate": amounts.negate,
    "nfc": texts.nfc,
    "nfkc": texts.nfkc,
    "null_date": dates.null_date,
    "null_if": texts.null_if,
    "pattern": texts.pattern,
    "phone": contact.phone,
    "strip_control": texts.strip_control,
    "strip_zeros": texts.strip_zeros,
    "tax_id": identifiers.tax_id,
    "title": texts.title,
    "trim": texts.trim,
    "unit": amounts.unit,
    "unit_code": amounts.unit_code,
    "upper": texts.upper,
    "url": contact.url,
    "yyyymmdd": dates.yyyymmdd,
    "zero_pad": texts.zero_pad,
}
