"""Names of companies, people and products: small word lists, and functions that make numbers with valid check digits.

All values come from the given `Random` and from running numbers, so the same seed makes the same company. Tax numbers
and e-mail addresses come from the running number of a company, so no two companies share one by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple, TypeVar

T = TypeVar("T")

FIRST = (
    "Anna Ben Clara David Emma Felix Greta Hans Ida Jonas Karin Lukas Marie Nils Olga Paul Renate Stefan Tanja Uwe "
    "Zoë Jürgen Søren Chloé José Agnès Łukasz Małgorzata Wei Xiaoming"
).split()
LAST = (
    "Weber Schmidt Fischer Becker Hoffmann Schäfer Koch Richter Klein Wolf Neumann Schwarz Zimmermann Braun Krüger "
    "Martin Bernard Dubois Rossi Bianchi Kowalski Nowak O'Brien Müller-Lüdenscheidt de Vries 王 李"
).split(" ")
STEMS = (
    "Nord Alpen Rhein Hanse Elbe Donau Atlas Orion Delta Sigma Vega Lumen Terra Aqua Ferro Novo Prima Inter Euro "
    "Techno Mecha Opti Poly Trans Uni Versa Zenit Kontor Berg Stern"
).split()
TRADES = (
    "Maschinenbau Logistik Antriebe Werkzeuge Sensorik Metall Handel Bau Technik Systeme Elektronik Verpackung "
    "Hydraulik Automation Energie"
).split()
STREETS = (
    "Hauptstraße",
    "Bahnhofstraße",
    "Industrieweg",
    "Am Hafen",
    "Gartenstraße",
    "Lindenallee",
    "Marktplatz",
    "Ringstraße",
)
INDUSTRIES = ("Manufacturing", "Wholesale", "Retail", "Construction", "Logistics", "Healthcare", "Energy", "Technology")
TIERS = ("Strategic", "Key", "Standard", "Small")
GROUPS = ("01", "02", "03", "04")
TAGS = ("fair-2026", "newsletter", "reference", "price sensitive", "frame contract", "A,B", 'so-called "VIP"')
TITLES = ("Head of Purchasing", "CEO", "Engineer", "Assistant", "CFO", "Plant Manager")
OWNERS = ("Anna Weber", "Ben Koch", "Clara Wolf", "David Braun", "Emma Richter")
SALESMEN = ("AW", "BK", "CW", "DB", "ER")
SOURCES = ("Web", "Referral", "Trade show", "Cold call", "Partner")
LOST = ("Price", "Competitor", "No budget", "No decision")
CARRIERS = ("DHL", "UPS", "DPD", "FDX", "SELF")
WAREHOUSES = ("BER", "HAM", "MUC")
SUBJECTS = (
    "Delivery damaged",
    "Wrong quantity",
    "Invoice unclear",
    "Part does not fit",
    "Where is my order?",
    "Noise in operation",
)
FILLER = (
    "The customer asked for a later delivery. Met at the fair, wants samples of the new series. Prefers to be called "
    "in the morning. Rahmenvertrag läuft im Herbst aus; Angebot nachfassen. Reklamation erledigt, Gutschrift erteilt. "
    "客户要求加急发货。 "
).split()

FAMILIES = ("Fasteners", "Bearings", "Drives", "Sensors", "Tools", "Services")
GOODS = ("Screw", "Ball bearing", "Gear motor", "Proximity sensor", "Torque wrench", "Maintenance")
ITEM_GROUPS = ("10", "20", "30", "40", "50", "60")
UNITS = (("pcs", "PCE"), ("kg", "KGM"), ("m", "MTR"), ("h", "HUR"))


class Country(NamedTuple):
    """How both systems write one country and its addresses."""

    iso: str
    name: str
    locale: str
    erp_lang: str
    currency: str
    phone: str
    """Country calling code."""
    area: str
    cities: tuple[tuple[str, str], ...]
    """(city, postal code)"""
    legal: tuple[str, ...]


COUNTRIES = (
    Country(
        "DE",
        "Germany",
        "de_DE",
        "D",
        "EUR",
        "49",
        "30",
        (("Berlin", "10115"), ("Hamburg", "20095"), ("München", "80331"), ("Köln", "50667")),
        ("GmbH", "AG", "GmbH & Co. KG"),
    ),
    Country("AT", "Austria", "de_AT", "D", "EUR", "43", "1", (("Wien", "1010"), ("Graz", "8010")), ("GmbH", "AG")),
    Country("FR", "France", "fr_FR", "F", "EUR", "33", "1", (("Paris", "75001"), ("Lyon", "69001")), ("SARL", "SAS")),
    Country(
        "IT", "Italy", "it_IT", "I", "EUR", "39", "02", (("Milano", "20121"), ("Torino", "10121")), ("S.r.l.", "S.p.A.")
    ),
    Country(
        "PL",
        "Poland",
        "pl_PL",
        "L",
        "EUR",
        "48",
        "22",
        (("Warszawa", "00-001"), ("Kraków", "30-001")),
        ("sp. z o.o.", "S.A."),
    ),
    Country(
        "CN", "China", "zh_CN", "1", "CNY", "86", "21", (("Shanghai", "200000"), ("Shenzhen", "518000")), ("Co., Ltd.",)
    ),
    Country(
        "US",
        "United States",
        "en_US",
        "E",
        "USD",
        "1",
        "212",
        (("New York", "10001"), ("New York", "10013")),
        ("Inc.", "LLC"),
    ),
)
_SHARES = (0.5, 0.6, 0.7, 0.78, 0.85, 0.93, 1.0)


def country(rng: Random) -> Country:
    """One of COUNTRIES; half of all companies are German."""
    drawn = rng.random()
    for share, place in zip(_SHARES, COUNTRIES, strict=True):
        if drawn < share:
            return place
    return COUNTRIES[-1]


class Firm(NamedTuple):
    """The true data of a company; each system writes them in its own way."""

    number: int
    name: str
    legal_name: str
    country: Country
    tax_id: str | None
    email: str
    domain: str
    phone: str
    """National number without the leading zero."""
    street: str
    city: str
    postal_code: str
    tier: int


def firm(rng: Random, number: int) -> Firm:
    """Company `number`: no other number has its tax id, domain or e-mail."""
    place = country(rng)
    name = f"{choose(rng, STEMS)}{choose(rng, STEMS).lower()} {choose(rng, TRADES)}"
    city, postal_code = choose(rng, place.cities)
    domain = f"{name.split()[0].lower()}-{number}.example"
    return Firm(
        number,
        name,
        f"{name} {choose(rng, place.legal)}",
        place,
        tax_id(place.iso, number),
        f"office@{domain}",
        domain,
        phone(rng, place),
        f"{choose(rng, STREETS)} {1 + int(rng.random() * 180)}",
        city,
        postal_code,
        int(rng.random() ** 0.5 * 4),
    )


def phone(rng: Random, place: Country) -> str:
    """A national phone number that is valid in this country."""
    if place.iso == "FR":
        return f"1{40_000_000 + int(rng.random() * 9_999_999)}"
    if place.iso == "US":
        return f"212{2_000_000 + int(rng.random() * 7_999_999)}"
    if place.iso == "CN":
        return f"21{50_000_000 + int(rng.random() * 19_999_999)}"
    return f"{place.area}{2_000_000 + int(rng.random() * 6_999_999)}"


def typed_phone(rng: Random, place: Country, national: str) -> str:
    """A phone number as people type it into a CRM: in one of four formats, always with the country code."""
    head, tail = national[:2], national[2:]
    style = int(rng.random() * 4)
    if style == 0:
        return f"+{place.phone}{national}"
    if style == 1:
        return f"+{place.phone} {head} {tail}"
    if style == 2:
        return f"00{place.phone} {head}/{tail}" if place.iso not in ("US", "CN") else f"+{place.phone} ({head}) {tail}"
    return f"+{place.phone} {head}{tail[:3]}-{tail[3:]}"


def national_phone(place: Country, national: str) -> str:
    """A phone number as the ERP stores it: without the country code, with the trunk prefix of the country."""
    trunk = "0" if place.iso in ("DE", "AT", "FR", "CN") else ""
    return f"{trunk}{national[:2]} {national[2:]}"


def typed_tax_id(rng: Random, number: str) -> str:
    """A tax number as people type it: with blanks, dots or small letters."""
    style = int(rng.random() * 4)
    if style == 0:
        return number
    if style == 1:
        return f"{number[:2]} {number[2:5]} {number[5:8]} {number[8:]}"
    if style == 2:
        return f" {number[:2]}{number[2:5]}.{number[5:]}"
    return number.lower()


def tax_id(iso: str, number: int) -> str | None:
    """The tax number of company `number`, with a valid check digit; None for countries whose numbers are not used
    here.
    """
    # The factor and the modulus have no common divisor, so no two numbers below nine million give the same result.
    mixed = number * 4_827_107 % 9_000_000 + 1_000_000
    if iso == "DE":
        return f"DE{_mod11_10(f'1{mixed}')}"
    if iso == "AT":
        digits = f"{mixed}"
        total = sum(int(d) if i % 2 == 0 else (int(d) * 2) // 10 + (int(d) * 2) % 10 for i, d in enumerate(digits))
        return f"ATU{digits}{(96 - total) % 10}"
    if iso == "FR":
        siren = _luhn(f"4{mixed}")
        return f"FR{(12 + 3 * (int(siren) % 97)) % 97:02d}{siren}"
    if iso == "IT":
        return f"IT{_luhn(f'{mixed}015')}"
    if iso == "PL":
        digits = f"52{mixed}"
        check = sum(w * int(d) for w, d in zip((6, 5, 7, 2, 3, 4, 5, 6, 7), digits, strict=True)) % 11
        return f"PL{digits}{check}" if check < 10 else None
    if iso == "CN":
        return _uscc(f"91310000{mixed:08d}X"[:17].replace("X", "A"))
    return None


def ean13(number: int) -> str:
    """The EAN-13 of item `number`."""
    digits = f"400{number:09d}"
    total = sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits))
    return f"{digits}{-total % 10}"


def filler(rng: Random, words: int) -> str:
    """A note of about `words` words."""
    # Half of them are random numbers: repeated words alone would shrink to almost nothing when compressed (TOAST, lz4).
    drawn = []
    for _ in range(words // 3):
        drawn.append(choose(rng, FILLER))
        drawn.append(f"{rng.getrandbits(64):x}")
    return " ".join(drawn)


def choose(rng: Random, choices: Sequence[T]) -> T:
    """One of `choices`. Faster than `rng.choice`."""
    return choices[int(rng.random() * len(choices))]


def _luhn(digits: str) -> str:
    total = 0
    for i, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if i % 2 == 0 else 1)
        total += value // 10 + value % 10
    return f"{digits}{-total % 10}"


def _mod11_10(digits: str) -> str:
    product = 10
    for digit in digits:
        total = (int(digit) + product) % 10 or 10
        product = 2 * total % 11
    return f"{digits}{(11 - product) % 10}"


_USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def _uscc(body: str) -> str:
    total = sum(_USCC.index(char) * pow(3, i, 31) for i, char in enumerate(body))
    return f"{body}{_USCC[-total % 31]}"
