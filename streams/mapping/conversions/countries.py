"""The conversion of codes and names of countries to ISO 3166-1."""

# ruff: noqa: RUF001 - letters of other scripts that only look like Latin ones

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache

from streams.mapping.conversions.names import named, plain
from streams.mapping.row_errors import BadValue
from streams.mapping.values.text import text_of

Convert = Callable[..., str | None]

_USUAL_NAMES = {
    "AE": "uae emirates vae 阿联酋",
    "BA": "bosnia-herzegovina bosnia bosnien",
    "BF": "upper-volta obervolta haute-volta hv hvo",
    "BJ": "dahomey dy dhy",
    "BO": "plurinational-state-of-bolivia",
    "BY": "byelorussia belorussia white-russia weissrussland",
    "CC": "cocos-islands keeling-islands",
    "CD": "congo-dem-rep zaire zr zar dr-congo drc congo-kinshasa congo-democratic-republic"
    " democratic-republic-of-congo democratic-republic-of-the-congo congo-democratic-republic-of-the"
    " congo-democratic-republic-of 扎伊尔",
    "CF": "central-african-rep",
    "CG": "congo-rep congo-republic-of congo-brazzaville republic-of-congo republic-of-the-congo congo-republic-of-the",
    "CI": "ivory-coast cote-divoire elfenbeinkuste elfenbeinkueste costa-de-marfil costa-d-avorio ivoorkust 象牙海岸",
    "CN": "prc pr-china p-r-china p-r-c p-r-of-china mainland-china china-mainland china-prc volksrepublik-china"
    " 中华人民共和国 people's-republic-of-china 中国大陆 中國大陸 大陆 中華人民共和國",
    "CV": "cape-verde kap-verde capo-verde",
    "CZ": "czech-rep czech-republic tschechische-republik tschechei republica-checa repubblica-ceca"
    " republique-tcheque republika-czeska",
    "DE": "brd frg ddr gdr dd west-germany east-germany federal-republic-of-germany german-democratic-republic"
    " bundesrepublik-deutschland ger 德意志联邦共和国 联邦德国",
    "DK": "den",
    "DO": "dominican-rep rep-dominicana",
    "ES": "kingdom-of-spain",
    "FR": "fx fxx french-republic",
    "GB": "uk great-britain britain england scotland wales northern-ireland eng sco wal nir xi united-kingdom-uk"
    " schottland angleterre ecosse inglaterra inghilterra gran-bretana gran-bretagna grande-bretagne"
    " grossbritannien 大不列颠 英格兰 苏格兰 威尔士 北爱尔兰",
    "GM": "gambia",
    "GR": "el hellas gre",
    "GW": "guinea-bissau",
    "HK": "hong-kong hongkong hong-kong-sar hong-kong-sar-china hong-kong-s-a-r hong-kong-china 香港 中国香港"
    " 中國香港 香港特别行政区 香港特別行政區",
    "HR": "cro",
    "ID": "印尼",
    "IE": "republic-of-ireland eire irish-republic",
    "IR": "persia",
    "KH": "kampuchea",
    "KP": "korea-north korea-dem-rep korea-democratic-peoples-republic n-korea 朝鲜 北韩 北朝鮮",
    "KR": "south-korea republic-of-korea korea-south korea-rep rep-of-korea korea-republic-of s-korea sudkorea"
    " suedkorea 한국 남한 대한민국 韓國 大韩民国 大韓民國 南韩 南韓",
    "LA": "lao-pdr lao-peoples-democratic-republic",
    "LI": "furstentum-liechtenstein",
    "LK": "ceylon",
    "LU": "grand-duchy-of-luxembourg",
    "LY": "libyan-arab-jamahiriya",
    "MK": "macedonia-fyr northern-macedonia macedonia fyrom mazedonien macedoine macedonia-fyrom"
    " former-yugoslav-republic-of-macedonia macedonia-the-former-yugoslav-republic-of",
    "MM": "burma birma birmanie birmania bu bur 缅甸联邦",
    "MO": "macau macao macau-sar macao-sar macau-sar-china macau-china macao-china 澳门 澳門 中国澳门 中國澳門"
    " 澳门特别行政区 澳門特別行政區",
    "NL": "holland holanda hollande olanda ned hol 尼德兰",
    "NZ": "纽西兰 紐西蘭",
    "PS": "palestinian-territory-occupied occupied-palestinian-territory palestine palestinian-territory palastina",
    "PT": "por",
    "RO": "rom",
    "RU": "russian-fed 俄联邦 俄國 俄罗斯联邦",
    "SA": "ksa saudi kingdom-of-saudi-arabia 沙特 沙特阿拉伯",
    "SK": "slovak-rep slovak-republic slowakische-republik",
    "FO": "faroe",
    "KG": "kyrgyz-rep",
    "ST": "sao-tome",
    "TT": "trinidad",
    "SX": "st-maarten",
    "BL": "st-barts st-barthelemy",
    "GF": "guyane",
    "SZ": "swaziland swasiland",
    "TH": "siam",
    "TL": "east-timor tp tmp osttimor",
    "TR": "turkey turquie turquia turchia turkei tuerkei turkiye turkiye-cumhuriyeti republic-of-turkey turkije tur",
    "TW": "taiwan taiwan-china taiwan-roc taiwan-r-o-c taiwan-republic-of-china republic-of-china-taiwan"
    " chinese-taipei 台湾 台灣 臺灣 中国台湾 中國台灣 中国台湾省",
    "US": "usa us u-s u-s-a united-states-of-america ee-uu eeuu eua vereinigte-staaten"
    " vereinigte-staaten-von-amerika 美利坚合众国 美國",
    "VA": "vatican holy-see vatikan",
    "VC": "st-vincent saint-vincent",
    "VN": "viet-nam vd vdr",
    "VU": "new-hebrides nh nhb",
    "XK": "xk kosovo xkx 科索沃",
    "YE": "yemen-arab-republic yemen-rep yd ymd",
    "ZA": "rsa republic-of-south-africa",
    "ZW": "rhodesia southern-rhodesia rh rho",
    "CH": "sui 瑞士联邦",
    "AU": "澳洲",
    "AT": "oesterreich",
    "FI": "suomi",
    "HU": "magyarorszag",
    "EE": "eesti",
    "LV": "latvija",
    "LT": "lietuva",
    "RS": "srbija",
    "SI": "slovenija",
    "JP": "nippon",
    "GE": "sakartvelo",
}
"""Names and codes that neither ISO 3166 nor CLDR list: former names, short names, those of other codes. A hyphen stands
for a space.
"""
_NATIVE_NAMES = {
    "GR": "Ελλάδα Ελλάς",
    "BG": "България",
    "UA": "Україна",
    "HR": "Hrvatska",
    "BY": "Беларусь",
    "RU": "Россия РФ",
}

_PLATES = dict(zip("A B D E F H I J L N P S".split(), "AT BE DE ES FR HU IT JP LU NO PT SE".split(), strict=True))
"""Letters that the United Nations register for cars abroad, as addresses in Europe have them (D-80331)."""
_FORMER_NUMBERS = {
    "280": "DE",
    "278": "DE",
    "886": "YE",
    "720": "YE",
    "736": "SD",
    "230": "ET",
    "249": "FR",
    "716": "ZW",
}

_DIVIDED = {
    "yu yug 891 yugoslavia jugoslawien yougoslavie 南斯拉夫": "Yugoslavia: BA, HR, ME, MK, RS, SI or XK today",
    "cs csk scg 200 czechoslovakia tschechoslowakei tchecoslovaquie 捷克斯洛伐克 serbia-and-montenegro"
    " serbien-und-montenegro": "CZ, SK, or of Serbia and Montenegro ME, RS today",
    "su sun 810 ussr udssr urss soviet-union sowjetunion 苏联 蘇聯": "the Soviet Union: one of fifteen countries today",
    "an ant 530 netherlands-antilles niederlandische-antillen": "the Netherlands Antilles: BQ, CW or SX today",
}
"""Countries that are several today."""


@cache
def _countries() -> dict[str, str]:
    """Every code and name of a country, in the form of `plain` → its alpha-2 code."""
    import pycountry

    # Later entries win: official names of ISO 3166 over translations, codes over names.
    known: dict[str, str] = {}
    codes = {c.alpha_2 for c in pycountry.countries}
    for code, name in named("territories"):
        if code in codes:
            known.setdefault(plain(name), code)
            # Without the dots over the letters people write an e: Oesterreich, Daenemark.
            known.setdefault(plain(name.translate(_WRITTEN_OUT)), code)
    for code, names in _NATIVE_NAMES.items():
        known |= dict.fromkeys(map(plain, names.split()), code)
    for c in pycountry.countries:
        for title in (c.name, getattr(c, "official_name", None), getattr(c, "common_name", None)):
            if title:
                known[plain(title)] = c.alpha_2
    for code, names in _USUAL_NAMES.items():
        known |= dict.fromkeys(map(plain, names.split()), code)
    for c in pycountry.countries:
        known[c.alpha_2.casefold()] = known[c.alpha_3.casefold()] = known[c.numeric] = c.alpha_2
    known |= {plate.casefold(): code for plate, code in _PLATES.items()}
    return _FORMER_NUMBERS | known


_WRITTEN_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "å": "aa", "ø": "oe"})


@cache
def _divided() -> dict[str, str]:
    return {plain(name): reason for names, reason in _DIVIDED.items() for name in names.split()}


_NUMBER = re.compile(r"([0-9]{1,3})(?:\.0+)?")
_TWO_NAMES = re.compile(r"(.+?)\s*(?:[(（](.+)[)）]|/\s*(.+)|\s-\s+(.+))")


def _code_of(text: str) -> str | None:
    """The code of one name, code or number."""
    known = _countries()
    name = plain(text)
    if name.isdigit():
        # A spreadsheet makes 40.0 of 040, which is not 400.
        number = _NUMBER.fullmatch(unicodedata.normalize("NFKC", text))
        return known.get(number[1].zfill(3)) if number else None
    return known.get(name) or known.get(name.removeprefix("the ")) or known.get(name.removesuffix(" the"))


def _code_of_both(text: str) -> str | None:
    """The code of a country that is named twice: Burma (Myanmar), Dänemark/Denmark. Both must name it."""
    names = _TWO_NAMES.fullmatch(text)
    if names is None:
        return None
    codes = {_code_of(name) for name in names.groups() if name}
    return codes.pop() if len(codes) == 1 else None


def country_code() -> Convert:
    """Finds the ISO 3166-1 code of a country (two letters) from a code of two or three letters, a number with or
    without zeros in front (40 is Austria), a letter of its cars (D), or a name in 20 languages, also a former or short
    one (Turkey, Ivory Coast, Burma, 香港). England, Scotland, Wales and Northern Ireland are GB; Kosovo is XK. A
    country that is several today (Yugoslavia, SU, AN) is rejected. An empty text becomes null.

    Example: `country`: `Deutschland` → `DE`
    """

    def convert(value: object) -> str | None:
        text = text_of(value).strip()
        if not text:
            return None
        code = _code_of(text) or _code_of_both(text)
        if code is None:
            reason = _divided().get(plain(text))
            raise BadValue(f"no country of today, {reason}" if reason else "not a country that ISO 3166 knows", value)
        return code

    return convert


def row_country(default: str | None) -> Callable[[object], str | None]:
    """A function from the country that a row names to its code; `default` where it names none that is known."""
    code_of = country_code()

    def code(where: object) -> str | None:
        if where in (None, ""):
            return default
        try:
            return code_of(where) or default
        except BadValue:
            return default

    return code
