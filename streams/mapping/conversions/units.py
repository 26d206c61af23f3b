"""The conversion of codes and names of units of measure to the codes of UN/ECE Recommendation 20."""

# ruff: noqa: RUF001 - letters of other scripts, and signs that only look like plain ones, are what is compared here

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from streams.mapping.row_errors import BadValue
from streams.mapping.values.text import text_of

Convert = Callable[[object], str | None]

_WORDS: dict[str, str] = {}
"""Usual names in small letters → the code. Containers that hold one another must differ: ten boxes fill a carton."""
for _code, _names in {
    "C62": "c62 pcs pc pce piece pieces ea each h87 nmb un unit units st stk stck stück stueck stücke stuks stuk"
    " styck kpl unité unités unite pièce pièces unidad unidades ud uds u pieza piezas pza pzas pz pezzo pezzi"
    " peça peças pç szt sztuk sztuka ks db kom buc adet шт штук штука 个 個 件 只 隻 台 臺 支 根 条 條 张 張"
    " 片 块 塊 把 本 册 枚 辆 輛 架 部 颗 顆 粒 개",
    "KGM": "kgm kg kgs kilogram kilograms kilogramm kilogramme kilogrammes kilogramo kilogramos kilo kilos кг 千克"
    " 公斤 ㎏",
    "GRM": "grm g gram grams gramm gramme grammes gramo gramos г 克",
    "MGM": "mg milligram milligrams milligramm 毫克",
    "TNE": "tne t ton tonne tonnes tonelada toneladas tonnellata to т 吨 噸 公吨",
    "LBR": "lb lbs pound pounds livre libra libras 磅",
    "ONZ": "oz ounce ounces unze unzen once onza onzas 盎司",
    "MTR": "mtr m metre meter metres meters mètre mètres metro metros м 米 公尺",
    "CMT": "cmt cm centimetre centimeter centimetres centimeters zentimeter centimètre centímetro 厘米 公分 ㎝",
    "MMT": "mmt mm millimetre millimeter millimetres millimeters millimètre milímetro 毫米 ㎜",
    "DMT": "dm dezimeter 分米",
    "KMT": "km kilometre kilometer kilometres kilometers kilomètre kilómetro 千米 公里 ㎞",
    "LM": "lfm lfdm lfd.m laufmeter laufende",
    "INH": "in inch inches zoll pouce pouces pulgada pulgadas pollice 英寸 英吋",
    "FOT": "ft foot feet fuß pied pieds 英尺",
    "YRD": "yd yds yard yards 码",
    "SMI": "mi mile miles 英里",
    "MTK": "mtk m2 m² qm sqm quadratmeter м2 м² 平方米 平米 ㎡",
    "CMK": "cm2 cm² qcm 平方厘米",
    "FTK": "ft2 ft² sqft sq.ft 平方英尺",
    "KMK": "km2 km² 平方公里",
    "HAR": "ha hektar hectare hectares hectárea 公顷",
    "MTQ": "mtq m3 m³ cbm kubikmeter м3 м³ 立方米 立方 ㎥",
    "CMQ": "cm3 cm³ ccm 立方厘米",
    "LTR": "ltr l lt litre liter litres liters litro litros л 升 公升",
    "MLT": "ml millilitre milliliter millilitres milliliters 毫升",
    "CLT": "cl centilitre centiliter zentiliter 厘升",
    "DLT": "dl decilitre deciliter deziliter",
    "HLT": "hl hectolitre hectoliter hektoliter",
    "SEC": "sec s second seconds sek sekunde sekunden seconde secondes segundo segundos 秒",
    "MIN": "min minute minutes minuten minuto minutos 分钟 分鐘",
    "HUR": "hur h hour hours hr hrs std stunde stunden heure heures hora horas ora ore 小时 小時 工时 工時",
    "DAY": "day d days tag tage jour jours día días dia dias giorno giorni dag dagen 天",
    "WEE": "week weeks wk woche wochen semaine semaines semana semanas 周 週",
    "MON": "month months monat monate mois mes meses mese mesi 月 个月",
    "ANN": "year years yr jahr jahre an ans année années año años anno anni 年",
    "KWH": "kwh kilowattstunde kilowattstunden 千瓦时",
    "MWH": "mwh megawattstunde megawattstunden 兆瓦时",
    "KWT": "kw kilowatt 千瓦",
    "P1": "% pct percent prozent 百分比",
    "SET": "set sets satz sätze jeu jeux juego juegos 套",
    "KT": "kt kit kits",
    "PR": "pr pair pairs paar paare paire paires par pares paio paia пара 对 對 双 雙",
    "DZN": "dzn dozen dozens dz dtzd dutzend douzaine docena docenas dozzina 打",
    "CEN": "cen hundert hundred cent ciento 百",
    "MIL": "tsd tausend thousand mille millar 千",
    "LS": "ls pauschal pauschale psch pausch lump-sum forfait",
    "BX": "bx box boxes schachtel schachteln boîte boîtes caja cajas scatola scatole 盒",
    "CT": "ct karton kartons ktn ctn ctns carton cartons 箱 纸箱 紙箱",
    "CS": "cs case cases kiste kisten caisse caisses",
    "PK": "pk pack packs pck pkg packung packungen paket pakete paquet paquets paquete paquetes 包",
    "BG": "bg bag bags beutel tüte tüten bolsa bolsas 袋",
    "SA": "sack säcke sacks saco sacos sacco",
    "BO": "bo bottle bottles btl flasche flaschen fl bouteille bouteilles botella botellas bottiglia 瓶",
    "CA": "ca can cans dose dosen 罐",
    "DR": "dr drum drums fass fässer fût fûts 桶",
    "PF": "pf pal pallet pallets palette paletten palettes palé palet palets 托 托盘 栈板",
    "RO": "ro roll rolls rolle rollen rouleau rouleaux rollo rollos rotolo 卷",
    "BE": "be bundle bundles bund bündel 捆",
    "TU": "tu tube tubes tuben",
    "IE": "person persons personen personne personnes persona personas 人",
}.items():
    _WORDS |= dict.fromkeys(_names.split(), _code)

_AMBIGUOUS = frozenset("MT TN MA ST KG HL CL TO CH NA GB KB GM HP PS VA KJ KL MD".split())
"""Codes that are usual abbreviations of another unit, or of none: MT is a mat, and what many write for a metric ton; NA
is a milligram per kilogram, and what many write for nothing.
"""
_OTHERWISE_MEANT = frozenset(("gal", "mil"))
"""Names and symbols of the list that nearly always mean another unit: a gal is an acceleration, or a gallon."""


class _Listed(NamedTuple):
    """What Recommendations 20 and 21 list."""

    codes: frozenset[str]
    symbols: dict[str, str]
    """Symbol → code, with its case: mW is no MW."""
    names: dict[str, str]
    """Name in small letters → code."""


@cache
def _listed() -> _Listed:
    text = files("streams.mapping.conversions").joinpath("unit_codes.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    symbols: dict[str, set[str]] = {}
    names: dict[str, set[str]] = {}
    for code, state, name, symbol in rows:
        if state not in ("deleted", "package"):
            if name.casefold() not in _OTHERWISE_MEANT:
                names.setdefault(name.casefold(), set()).add(code)
            for written in symbol.split(" or ") if symbol else ():
                symbols.setdefault(written, set()).add(code)
    symbols["MW"], symbols["V"] = {"MAW"}, {"VLT"}  # and not a module width, nor one kind of volt
    return _Listed(
        frozenset(code for code, state, *_ in rows if code not in _AMBIGUOUS),
        {symbol: min(codes) for symbol, codes in symbols.items() if len(codes) == 1},
        {name: min(codes) for name, codes in names.items() if len(codes) == 1},
    )


def _code_of(text: str) -> str | None:
    listed = _listed()
    # dB is a decibel, db are pieces in Hungarian; but St and ST are pieces in German, and no stokes.
    if text in listed.symbols and not (text.islower() or text.isupper() or text.istitle()):
        return listed.symbols[text]
    # Before the codes: STK is a "stick, cigarette", KGS a kilogram per second, and nobody means them.
    known = _WORDS.get(text.casefold().rstrip("."))
    if known is not None:
        return known
    if text in listed.codes:
        return text
    if text in listed.symbols and text.casefold() not in _OTHERWISE_MEANT:
        return listed.symbols[text]
    # A code of two characters in small letters is more likely an abbreviation of something else.
    if len(text) == 3 and text[:1] not in "xX" and text.upper() in listed.codes:
        return text.upper()
    return listed.names.get(text.casefold())


def unit_code(unknown: str = "reject") -> Convert:
    """Finds the code of a unit of measure (UN/ECE Recommendation 20, also its deprecated and deleted codes; packages
    also as in Recommendation 21: XBX) from its code, its symbol or a usual name: Stk, EA and 个 become C62. Containers
    of different sizes stay different: box and 盒 are BX, Karton and 箱 are CT. A unit that is not known is rejected;
    `unknown: pass` lets it pass as it is.

    Example: `unit_code`: `kg` → `KGM`
    """
    if unknown not in ("reject", "pass"):
        raise ValueError(f"`unknown` is {unknown!r}; it is reject or pass")

    def convert(value: object) -> str | None:
        # NFKC: full-width letters, and signs such as ㎏, which become letters.
        text = " ".join(text_of(value).split())
        if not text:
            return None
        code = _code_of(text) or _code_of(unicodedata.normalize("NFKC", text))
        if code is None and unknown == "reject":
            raise BadValue("not a known unit of measure", value)
        return code or text

    return convert
