"""The conversion of amounts in Chinese capital numerals (大写金额), as contracts, cheques and invoices have them."""

# ruff: noqa: RUF001 - letters of other scripts, and signs that only look like plain ones, are what is compared here

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from streams.mapping.row_errors import BadValue
from streams.mapping.values.text import text_of

_NUMERALS = "零〇○ 壹一弌 贰二貳弍 叁三參叄 肆四 伍五 陆六陸 柒七 捌八 玖九"
_DIGITS = {sign: number for number, signs in enumerate(_NUMERALS.split()) for sign in signs}
_DIGITS |= {"两": 2, "兩": 2}
_TENS = {"拾": 10, "十": 10, "佰": 100, "百": 100, "仟": 1000, "千": 1000}
_GROUPS = (("亿億", 10**8), ("万萬", 10**4))
_ONE = "[^零〇元圆圓整正角毛分]"
_AMOUNT = re.compile(
    r"(?:人民币|人民幣|RMB|CNY)?[¥￥]?[:：]?(?P<minus>负|負)?(?:(?P<yuan>[^元圆圓整正角毛分]+)[元圆圓])?"
    rf"[零〇]?(?:(?P<jiao>{_ONE})[角毛])?[零〇]?(?:(?P<fen>{_ONE})分)?[整正]?"
)


def chinese_amount() -> Callable[[object], Decimal | None]:
    """Reads an amount in Chinese numerals, capital (大写) or plain: 元, 角 and 分, with 整 or 正 at the end or without,
    with 人民币 in front or without. A text whose units are not in order is rejected. An empty text becomes null.

    Example: `chinese_amount`: `壹仟贰佰叁拾肆元伍角陆分` → `1234.56`
    """

    def convert(value: object) -> Decimal | None:
        text = "".join(text_of(value).split())
        if not text:
            return None
        amount_match = _AMOUNT.fullmatch(text)
        if amount_match is None or not any(amount_match[name] for name in ("yuan", "jiao", "fen")):
            raise BadValue("not an amount in Chinese numerals", value)
        try:
            whole = _whole(amount_match["yuan"]) if amount_match["yuan"] else 0
            cents = 10 * _DIGITS[amount_match["jiao"] or "零"] + _DIGITS[amount_match["fen"] or "零"]
        except (KeyError, ValueError):
            raise BadValue("not an amount in Chinese numerals", value) from None
        amount = Decimal(whole) + Decimal(cents).scaleb(-2)
        return -amount if amount_match["minus"] else amount

    return convert


def _whole(text: str) -> int:
    """A whole number, by its groups of 亿 and 万. Raises KeyError and ValueError for what is none."""
    for signs, size in _GROUPS:
        # The last sign: 一万亿 is ten thousand times 亿.
        at = max(text.rfind(sign) for sign in signs)
        if at >= 0:
            rest = _whole(text[at + 1 :]) if text[at + 1 :] else 0
            if rest >= size:
                raise ValueError(text)
            return _whole(text[:at]) * size + rest
    return _group(text)


def _group(text: str) -> int:
    """A number below ten thousand."""
    if not text:
        raise ValueError(text)  # 万元 without a number
    if len(text) > 1 and all(sign in _DIGITS for sign in text.strip("零〇○")) and len(text.strip("零〇○")) > 1:
        raise ValueError(text)  # 一二三 has no units
    total, last_unit, digit = 0, 10_000, None
    for sign in text:
        if sign in _TENS:
            unit = _TENS[sign]
            if unit >= last_unit:
                raise ValueError(text)
            if digit is None or digit == 0:
                if unit != 10:  # 拾伍 is fifteen
                    raise ValueError(text)
                digit = 1
            total, last_unit, digit = total + digit * unit, unit, None
        else:
            if digit:
                raise ValueError(text)
            digit = _DIGITS[sign]
    return total + (digit or 0)
