"""The conversion of codes, names and signs of currencies to ISO 4217."""

# ruff: noqa: RUF001 - letters of other scripts, and signs that only look like plain ones, are what is compared here

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache

from streams.mapping.conversions.names import named, plain
from streams.mapping.row_errors import BadValue
from streams.mapping.values.text import text_of

Convert = Callable[..., str | None]

_RETIRED: dict[str, str] = dict(
    (pair[:3], pair[4:])
    for pair in (
        "ADP:020 AFA:004 ALK:008 ANG:532 AOK:024 AON:024 AOR:982 ARA:032 ARP:032 ARY:032 ATS:040 AYM:945 AZM:031"
        " BAD:070 BEC:993 BEF:056 BEL:992 BGJ:100 BGK:100 BGL:100 BGN:975 BOP:068 BRB:076 BRC:076 BRE:076 BRN:076"
        " BRR:987 BUK:104 BYB:112 BYR:974 CHC:948 CSD:891 CSJ:203 CSK:200 CUC:931 CYP:196 DDM:278 DEM:276 ECS:218"
        " ECV:983 EEK:233 ESA:996 ESB:995 ESP:724 FIM:246 FRF:250 GEK:268 GHC:288 GHP:939 GNE:324 GNS:324 GQE:226"
        " GRD:300 GWE:624 GWP:624 HRD:000 HRK:191 IEP:372 ILP:376 ILR:376 ISJ:352 ITL:380 LAJ:418 LSM:426 LTL:440"
        " LTT:440 LUC:989 LUF:442 LUL:988 LVL:428 LVR:428 MGF:450 MLF:466 MRO:478 MTL:470 MTP:470 MVQ:462 MXP:484"
        " MZE:508 MZM:508 NIC:558 NLG:528 PEH:604 PEI:604 PES:604 PLZ:616 PTE:620 RHD:716 ROK:000 ROL:642 RUR:810"
        " SDD:736 SDP:736 SIT:705 SKK:703 SLL:694 SRG:740 STD:678 SUR:000 TJR:762 TMM:795 TPE:626 TRL:792 UAK:804"
        " UGS:800 UGW:800 USS:998 UYN:858 UYP:858 VEB:862 VEF:937 VNC:704 XEU:954 XFO:000 XFU:000 XRE:000 YDD:720"
        " YUD:890 YUM:891 YUN:890 ZAL:991 ZMK:894 ZRN:180 ZRZ:180 ZWC:716 ZWD:716 ZWL:932 ZWN:942 ZWR:935"
    ).split()
)
"""Code → number of what ISO 4217 withdrew (List Three, as SIX publishes it): old documents have them."""

_SIGNS = {
    "EUR": "€ euro euros eur€ €uro 欧元 歐元",
    "GBP": "£ gb£ 英镑 英鎊 sterling pound-sterling pounds-sterling ukp",
    "USD": "us$ usd$ u.s.$ us-dollar us-dollars u.s.dollar 美元 美金",
    "CNY": "rmb cn¥ cny¥ rmb¥ 人民币 人民幣 人民币元 元 圆 renminbi yuan renminbi-yuan chinese-yuan",
    "JPY": "円 日元 日圆 日圓 jp¥ yen 日本円",
    "CHF": "fr. sfr sfr. 瑞士法郎 franken schweizer-franken",
    "HKD": "hk$ 港币 港幣 港元",
    "TWD": "nt$ ntd 台币 台幣 新台币 新台幣 新臺幣",
    "SGD": "s$ sg$ 新加坡元",
    "AUD": "a$ au$ 澳元",
    "CAD": "c$ ca$ can$ 加元 加拿大元",
    "NZD": "nz$",
    "MXN": "mx$ mex$",
    "BRL": "r$",
    "INR": "₹",
    "RUB": "₽ руб руб. 卢布",
    "KRW": "₩ 韩元 韩币",
    "TRY": "₺ tl",
    "UAH": "₴ грн грн.",
    "VND": "₫ đ 越南盾",
    "ILS": "₪ nis",
    "THB": "฿ 泰铢",
    "KZT": "₸",
    "NGN": "₦",
    "PHP": "₱",
    "CRC": "₡",
    "PYG": "₲",
    "AZN": "₼",
    "GEL": "₾",
    "KHR": "៛",
    "LAK": "₭",
    "MNT": "₮",
    "GHS": "₵",
    "PLN": "zł zl",
    "CZK": "kč",
    "HUF": "ft",
    "DEM": "dm d-mark",
    "MOP": "mop$ 澳门元 澳门币",
}
"""Signs and names that mean only one currency. A hyphen stands for a space."""


@cache
def _known() -> dict[str, str]:
    """Every code, number, sign and name of a currency, in small letters → its code."""
    import pycountry

    current = {c.alpha_3 for c in pycountry.currencies}
    names: dict[str, set[str]] = {}
    for code, name in named("currencies"):
        if code in current or code in _RETIRED:
            names.setdefault(plain(name), set()).add(code)
    known = {name: min(codes) for name, codes in names.items() if len(codes) == 1 and len(name) > 1}
    # The number of a retired currency may be that of its country's next one: the current one wins.
    known |= {number: code for code, number in _RETIRED.items() if _is_only_holder(number)}
    known |= {c.numeric: c.alpha_3 for c in pycountry.currencies}
    known |= {sign.replace("-", " "): code for code, signs in _SIGNS.items() for sign in signs.split()}
    return known | {code.casefold(): code for code in (*_RETIRED, *current)}


def _is_only_holder(number: str) -> bool:
    return number != "000" and sum(other == number for other in _RETIRED.values()) == 1


def currency_code() -> Convert:
    """Finds the ISO 4217 code of a currency (three letters) from its code, its number (978), its name in 20 languages,
    or a sign that means only one currency (€, £, US$, RMB, 元). Codes that ISO 4217 withdrew (HRK, DEM) stay valid, for
    old documents. $, ¥ and kr alone mean several currencies and are rejected. An empty text becomes null.

    Example: `currency`: `€` → `EUR`
    """

    def convert(value: object) -> str | None:
        # NFKC: full-width letters and signs.
        text = " ".join(unicodedata.normalize("NFKC", text_of(value)).casefold().split())
        if not text:
            return None
        known = _known()
        code = known.get(text.zfill(3) if text.isdigit() else text) or known.get(plain(text))
        if code is None:
            raise BadValue("not a currency that ISO 4217 knows", value)
        return code

    return convert
