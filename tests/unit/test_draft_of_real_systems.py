"""`map draft` on the tables of real systems: how much it finds, how much of what it proposes is right, what it leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.draft import CORPUS, Result, load, row, with_total
from streams.dictionary.canonical_fields import entity_type
from streams.dictionary.draft.matching import propose
from streams.dictionary.draft.yaml_text import draft_text

PAGE = (Path(__file__).parents[2] / "docs/guides/bring-your-own-system.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return [*with_total(CORPUS, "all"), *with_total(CORPUS / "held_out", "held out")]


@pytest.mark.parametrize("file", sorted(CORPUS.rglob("*.yaml")), ids=lambda file: file.stem)
def test_what_a_person_maps_exists_in_the_model(file: Path) -> None:
    schema = load(file)
    entities = dict(schema.tables)
    for table, field, _ in schema.fields:
        entity = entity_type(entities[table])
        assert entity is not None and (field == "parent" or field in entity.fields), (table, field)


def test_draft_finds_tables_and_fields_of_known_systems(results: list[Result]) -> None:
    (known,) = [result for result in results if result.schema == "all"]
    assert min(known.tables.precision, known.tables.recall) >= 0.9
    assert min(known.fields.precision, known.fields.recall) >= 0.8


def test_draft_guesses_little_where_it_does_not_know(results: list[Result]) -> None:
    (unknown,) = [result for result in results if result.schema == "held out"]
    assert unknown.tables.precision >= 0.9 and unknown.fields.precision >= 0.9


def test_page_has_the_figures_of_today(results: list[Result]) -> None:
    assert [line for line in map(row, results) if line not in PAGE] == [], "python -m benchmarks.draft"


@pytest.mark.parametrize("system", ["tryton", "suitecrm", "odoo", "chinese", "german_spanish"])
def test_history_is_never_preferred(system: str) -> None:
    schema = load(CORPUS / f"{system}.yaml")
    proposed = {proposal.table.name for proposal in propose(schema.catalog, {})}
    assert not {
        name for name in proposed if any(word in name for word in ("history", "audit", "histor", "历史", "日志"))
    }


def test_table_that_links_two_records_is_proposed_as_an_addition() -> None:
    schema = load(CORPUS / "suitecrm.yaml")
    text = draft_text("x", propose(schema.catalog, {}), schema.catalog)
    link = "entity: opportunity, part_of: true, key: opportunity_id, fields: {customer_id: account_id}"
    assert "public.accounts_opportunities only links records" in text and link in text
