"""`map check` reports mistakes of every kind at once: a mistake in one place hides none in another."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.dictionary.check.all_problems import DictionaryCheck, check_dictionary

SUITECRM = Path(__file__).parents[1] / "fixtures/connectors/suitecrm/dictionary.yaml"
PLANTED = {
    "timezone: UTC": "timezone: UTCC",
    "entity: customer\n        when: account_type": "entity: custommer\n        when: account_type",
    "billing_address_country, steps: [country]": "billing_address_country, steps: [land]",
    "{column: vat_number_c, steps": "{colum: vat_number_c, steps",
    "last_name: last_name": "lastname: last_name",
    "job_title: title": "job_title: [title]",
    "key: contact_id\n        when: deleted == 0": "key: contact_id\n        when: deleted = 0",
    "lookup: {table: public.email_addresses,": "lookup: {table: public.email_adresses,",
    "stage:\n            column: sales_stage": "stage:\n            colunm: sales_stage",
    "amount: {column: amount, round: half_even}": "amount: {column: amount, round: half_evn}",
    "source: lead_source": "source: {const: web, column: lead_source}",
    "key: opportunity_id": "kee: opportunity_id",
    "sku: {column: part_number, steps: [trim]}": "sku: {column: part_number, stepps: [trim]}",
    "kind: {const: invoice}": "kind: {const: bill}",
    "invoice_date: invoice_date": "invoice_date: {const: 2025-02-30}",
    "customer_id: billing_account_id": "customer: billing_account_id",
    "status: {column: state": "status: {column: state, bad: keep",
    "unknown: pass}": "unknown: keep}",
    "subject: name": "subject: name\n          subject: name",
    "  public.cases:\n    key: id": "  public.cases:\n    before: ful\n    key: id",
}  # fmt: skip


def planted(tmp_path: Path, *which: str) -> tuple[list[int], DictionaryCheck]:
    """The lines of the mistakes, and the result of the check."""
    text = SUITECRM.read_text("utf-8")
    marked = text
    for number, good in enumerate(which):
        assert good in marked, good
        wrong = PLANTED[good].split("\n")
        at = next((i for i, (new, old) in enumerate(zip(wrong, [*good.split("\n"), ""], strict=False)) if new != old))
        wrong[at] += f" #{number}#"
        marked = marked.replace(good, "\n".join(wrong), 1)
    lines = [
        line_number
        for mistake in range(len(which))
        for line_number, line in enumerate(marked.split("\n"), 1)
        if f"#{mistake}#" in line
    ]
    file = tmp_path / "dictionary.yaml"
    for number in range(len(which)):
        marked = marked.replace(f" #{number}#", "")
    file.write_text(marked, "utf-8")
    return sorted(lines), check_dictionary(file)


def test_twenty_mistakes_of_every_kind_are_reported_at_once_and_nothing_else(tmp_path: Path) -> None:
    lines, checked = planted(tmp_path, *PLANTED)
    assert len(lines) == 20
    assert [problem.line for problem in checked.problems] == lines, "\n".join(map(str, checked.problems))
    assert checked.compiled is not None  # the rest can be compared with the database


@pytest.mark.parametrize("good", PLANTED)
def test_single_mistake_is_reported_once(tmp_path: Path, good: str) -> None:
    lines, checked = planted(tmp_path, good)
    assert [problem.line for problem in checked.problems] == lines, "\n".join(map(str, checked.problems))


def test_valid_dictionary_has_no_problems() -> None:
    checked = check_dictionary(SUITECRM.parent)
    assert checked.problems == []
    assert checked.compiled is not None
    assert checked.compiled.system == "suitecrm"


def test_file_that_is_not_yaml_is_reported_as_such(tmp_path: Path) -> None:
    (tmp_path / "dictionary.yaml").write_text("system: x\ntables: [", "utf-8")
    assert [problem.field for problem in check_dictionary(tmp_path).problems] == ["yaml"]
    assert check_dictionary(tmp_path / "nowhere").problems[0].what == "there is no such file"
