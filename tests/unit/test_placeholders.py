"""Values that stand for anybody link nobody.

Threads: erpnext_mexico_compliance#134 (XAXX010101000), odoo#113604 (999999990), and the samples of tax authorities.
"""

from __future__ import annotations

import pytest

from streams.mapping.placeholders import stands_for_anybody
from streams.model.state import Contribution, EntityState
from streams.pipeline.matching import keys_of
from streams.resolve.rules import EntityRule, Ownership

ANYBODY = {
    "tax_id": "XAXX010101000 XEXX010101000 MXXAXX010101000 AAA010101AAA 999999990 PT999999990 00000000T ES00000000T ESX0000000T"
    " DE999999999 DE123456789 ATU12345675 IT00000000000 IT99999999999 FR00000000000 NL000000000B00 NL123456789B01 EL000000000"
    " CHE123456788 CHE-999.999.996 NO999999999MVA SE555555555501 GB999999973 99999999000191 111.111.111-11 222222222222"
    " 444444444001 9999999999999 66666666-6 1-9 55000000018 20-12345678-6 44444401-7 99001 EI00000000010 100000000000"
    " 300000000000003 22AAAAA0000A1Z5 0000000000 12-3456789 98-7654321 111111111111111111 000000000000000 121212121 CF URP 0",
    "gtin": "0000000000000 00000000 9999999999994 1111111111116 12345670 1234567890128 0123456789012 10000000000007",
    "phone": "+49300000000 +491711234567 +12025550123 +441632960123 +8613800000000",
    "email_domain": "gmail.com kunde.outlook.de outlook.de orange.fr free.fr 163.com vip.163.com qq.com foxmail.com yahoo.com.pe"
    " hotmail.com.ve yandex.com.tr gmx.ch bluewin.ch t-online.de libero.it seznam.cz naver.com docomo.ne.jp bigpond.com rr.com"
    " btinternet.com wp.pl terra.com.br comcast.net tuta.com example.com GMAIL.COM yopmail.com privaterelay.appleid.com",
    "email": "noreply@siemens.com no-reply@huber.example a@example.com none@none.com",
    "sku": "000 N/A none",
}
SOMEBODY = {
    "tax_id": "DE136695976 00000000000191 GB980780684 FR40303265045 MTA0902267B6 91110000600037341L IT00159560366"
    " NL004495445B01 811569869 DE811569869 BE0403101811 ATU13585627 CHE107787577 NO995525828MVA 33683411000150"
    " 27AAPFU0939F1ZV 51824753556 1168200276 DE100000010 RO18547290",
    "gtin": "4006381333931 5901234123457 00012345600012 96385074",
    "phone": "+4930901820 +861065529988",
    "email_domain": "siemens.com huber.example outlook-design.de mygmail.com yahoo-inc.example company.org.ua orange-bau.de",
    "email": "info@siemens.com none.else@huber.example",
    "sku": "1 A-000 0001 NA-1",
}


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, values in ANYBODY.items() for v in values.split()])
def test_a_value_that_stands_for_anybody_is_known(field: str, value: str) -> None:
    assert stands_for_anybody(field, value)


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, values in SOMEBODY.items() for v in values.split()])
def test_a_value_of_one_company_is_not_taken_for_one_of_anybody(field: str, value: str) -> None:
    assert not stands_for_anybody(field, value)


def keys(**fields: object) -> dict[str, str | None]:
    said = Contribution("erp", "1", 0, 1, 1, 0, False, fields)
    record = EntityState("1", "customer", contributions={"1": said})
    rule = EntityRule(("crm", "erp"), match=(("tax_id",), ("email_domain", "name")))
    return keys_of(record, Ownership({"customer": rule}))


def test_such_a_value_is_no_key_and_no_guard_of_a_weaker_key() -> None:
    assert keys(tax_id="XAXX010101000", email="a@huber.example", name="Huber") == {
        "email_domain=huber.example|name=huber": None
    }
    assert keys(tax_id="ES00000000T", email="a@kunde.outlook.de", name="Huber") == {}


def test_a_number_of_letters_counts_with_the_country_of_its_record() -> None:
    assert list(keys(tax_id="MTA0902267B6", billing_country="MX")) == ["tax_id=mxmta0902267b6"]
    assert list(keys(tax_id="GRO840820QH2", billing_country="MX")) == ["tax_id=mxgro840820qh2"]
    assert list(keys(tax_id="MT10601519", billing_country="MX")) == ["tax_id=mt10601519"]
    assert list(keys(tax_id="GR094259216")) == list(keys(tax_id="EL094259216")) == ["tax_id=el094259216"]
