"""Connection strings of Postgres, with a password that comes from elsewhere."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

_URL = re.compile(r"(postgres(?:ql)?://)(?:([^/?#]*)@)?(.*)", re.DOTALL)


def password_of(dsn: str) -> str:
    """The password in a connection string, which may be a URL or `name=value` pairs; empty where it has none."""
    if match := _URL.fullmatch(dsn):
        return unquote((match.group(2) or "").partition(":")[2])
    pair = re.search(r"(?:^|\s)password\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S*))", dsn)
    return re.sub(r"\\(.)", r"\1", pair.group(1) or pair.group(2) or "") if pair else ""


def with_password(dsn: str, password: str) -> str:
    """`dsn` with `password`; unchanged where it has one of its own, or there is none."""
    if not password or password_of(dsn):
        return dsn
    if match := _URL.fullmatch(dsn):
        scheme, user, rest = match.groups()
        return f"{scheme}{user or ''}:{quote(password, safe='')}@{rest}"
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    return f"{dsn} password='{escaped}'"
