"""Every mistake of a dictionary is reported at once, each with its file, line, field and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.dictionary.language.read import load_dictionary
from streams.dictionary.problems import DictionaryError
from tests.factories import FILE, field, one_table, problems

TWENTY_OF_FORM = """\
system: Test System
kind: oracle
timezone: Europe/Berln
contry: DE
tables:
  public.a:
    keys: [id]
    to:
      - entity: customer
        fields:
          name: {column: n, colum: m}
          email: {column: e, const: x}
          phone: {steps: [phone]}
          notes: {column: n, part: 1}
          tags: {column: n, unknown: pass}
          owner: {column: n, round: up}
          segment: 5
          status: {column: ""}
  public.b:
    key: []
    to:
      - entity: product
        feilds: {}
        fields: {sku: {column: s, lookup: {table: x}}}
        parent: {entity: customer}
        rates: 1
      - fields: {}
    before: both
    nul: drop
"""

TWENTY_OF_MEANING = """\
system: test
country: DE
tables:
  public.a:
    key: id
    to:
      - entity: custumer
        fields: {name: n}
      - entity: customer
        key: other
        when: status ==
        deleted: gone()
        parent: x
        fields:
          nmae: n
          credit_limit: {column: l, steps: [{decimal: {locale: xx_YY}}]}
          credit_blocked: {column: b, values: {Y: maybe}}
          created_at: {column: c, steps: [{datetime: {formats: '%Q'}}]}
          phone: {column: p, steps: [phnoe]}
          email: {column: e, steps: [{email: {strict: true}}]}
          tax_id: {column: t, steps: [{tax_id: {country: ZZ}}]}
          owner: {column: o, lookup: {table: public.nowhere, column: x}}
          notes: {column: n, path: 'a..b'}
          status: {column: s, round: half_up}
          website: {column: w, system: crm}
          tags: {const: 5}
          attributes: extra
      - entity: sales_order_line
        fields: {line_no: n}
      - entity: sales_order
        fields:
          customer_id: {const: 5}
          status: {column: s, values: {1: confrmed}}
          order_date: {column: d, default: yesterday}
  public.b:
    key: [x, y]
    to:
      - entity: opportunity
        fields:
          stage: {column: s, lookup: {table: public.b, column: q}}
          amount: {column: s, convert: {to: EUR, currency: c, on: d}}
          customer_id: {column: c, typed: {res.partner: product}}
          name: {column: n, steps: [{pattern: '('}]}
          expected_close: {column: d, steps: [{unit: {source: kg, to: m}}]}
"""


def lines_and_fields(text: str) -> list[tuple[int, str]]:
    return [(p.line, p.field.removeprefix("tables.")) for p in problems(text)]


def test_all_mistakes_of_form_are_reported_at_once() -> None:
    assert lines_and_fields(TWENTY_OF_FORM) == [
        (1, "system"), (2, "kind"), (3, "timezone"), (4, "contry"), (6, "public.a.key"), (7, "public.a.keys"),
        (11, "public.a.to[0].fields.name.colum"), (12, "public.a.to[0].fields.email"), (13, "public.a.to[0].fields.phone"),
        (14, "public.a.to[0].fields.notes"), (15, "public.a.to[0].fields.tags"), (16, "public.a.to[0].fields.owner.round"),
        (17, "public.a.to[0].fields.segment"), (18, "public.a.to[0].fields.status.column"), (20, "public.b.key"),
        (23, "public.b.to[0].feilds"), (24, "public.b.to[0].fields.sku.lookup.column"), (25, "public.b.to[0].parent"),
        (26, "public.b.to[0].rates"), (27, "public.b.to[1].entity"), (28, "public.b.before"), (29, "public.b.nul"),
    ]  # fmt: skip


def test_all_mistakes_of_meaning_are_reported_at_once() -> None:
    assert lines_and_fields(TWENTY_OF_MEANING) == [
        (7, "public.a.to[0].entity"), (10, "public.a.to[1].key"), (11, "public.a.to[1].when"), (12, "public.a.to[1].deleted"),
        (13, "public.a.to[1].parent"), (14, "public.a.to[1].fields"), (15, "public.a.to[1].fields.nmae"),
        (16, "public.a.to[1].fields.credit_limit.steps[0]"), (17, "public.a.to[1].fields.credit_blocked.values.Y"),
        (18, "public.a.to[1].fields.created_at.steps[0]"), (19, "public.a.to[1].fields.phone.steps[0]"),
        (20, "public.a.to[1].fields.email.steps[0]"), (21, "public.a.to[1].fields.tax_id.steps[0]"),
        (22, "public.a.to[1].fields.owner.lookup.table"), (23, "public.a.to[1].fields.notes.path"),
        (24, "public.a.to[1].fields.status.round"), (25, "public.a.to[1].fields.website.system"),
        (26, "public.a.to[1].fields.tags.const"), (27, "public.a.to[1].fields.attributes"), (28, "public.a.to[2]"),
        (32, "public.a.to[3].fields.customer_id.const"), (33, "public.a.to[3].fields.status.values.1"),
        (34, "public.a.to[3].fields.order_date.default"), (40, "public.b.to[0].fields.stage.lookup"),
        (41, "public.b.to[0].fields.amount.convert"), (42, "public.b.to[0].fields.customer_id.typed"),
        (43, "public.b.to[0].fields.name.steps[0]"), (44, "public.b.to[0].fields.expected_close.steps[0]"),
    ]  # fmt: skip


def test_each_problem_names_its_line_and_what_is_wrong() -> None:
    for text in (TWENTY_OF_FORM, TWENTY_OF_MEANING):
        for problem in problems(text):
            assert str(problem).startswith(f"{FILE}:{problem.line}: tables.") or problem.field in (
                "system",
                "kind",
                "timezone",
                "contry",
            )
            assert problem.what


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("- {entity: custumer, fields: {name: n}}", "did you mean customer?"),
        ("- {entity: customer, fields: {name: n, emial: e}}", "did you mean `email`?"),
        ("- {entity: customer, feilds: {name: n}}", "did you mean `fields`?"),
        ("- {entity: customer, fields: {name: {column: n, steps: [collaps]}}}", "did you mean `collapse`?"),
        (
            "- {entity: customer, fields: {name: {column: n, steps: [{phone: {land: DE}}]}}}",
            "it takes country, country_column",
        ),
        (
            "- {entity: customer, fields: {name: {column: n, steps: [{zero_pad: {width: wide}}]}}}",
            "it takes <class 'int'>",
        ),
        ("- {entity: customer, fields: {name: {column: n, steps: [zero_pad]}}}", "needs width"),
        ("- {entity: sales_order, fields: {status: {const: open}}}", "one of draft, confirmed"),
        (
            "- {entity: sales_order_line, fields: {line_no: n}}",
            "add `parent: <the column with the key of its sales_order>`",
        ),
        ("- {entity: customer, fields: {name: {expr: 'upper(n'}}}", "not a CEL expression"),
        ("- {entity: customer, fields: {name: {expr: 'uper(n)'}}}", "there is no function `uper`"),
    ],
)
def test_near_miss_gets_a_suggestion(wrong: str, right: str) -> None:
    assert right in "\n".join(map(str, problems(one_table(wrong))))


def test_file_that_cannot_be_read_is_a_dictionary_error(tmp_path: Path) -> None:
    cases = {
        "missing": None, "no yaml": b"a: [1", "twice": b"system: a\nsystem: b\n", "no mapping": b"- a\n", "empty": b"",
        "latin-1": "system: M\u00fcller".encode("latin-1"), "alias in itself": b"a: &x\n  b: *x\n", "tab": b"a:\n\tb: 1\n", "control": b"a: \x07\n",
    }  # fmt: skip
    for name, content in cases.items():
        file = tmp_path / f"{name}.yaml"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(DictionaryError) as caught:
            load_dictionary(file)
        assert str(caught.value).startswith(f"{file}:"), name
        assert caught.value.exit_code == 2
    with pytest.raises(DictionaryError, match=r"2: system: given twice \(first in line 1\)"):
        load_dictionary(tmp_path / "twice.yaml")


def test_field_given_twice_is_an_error() -> None:
    text = "system: t\ntables:\n  p.t:\n    key: id\n    to:\n      - entity: customer\n        fields:\n          name: a\n          name: b\n"
    assert [(p.line, p.what) for p in problems(text)] == [(9, "given twice (first in line 8)")]


def test_chain_of_lookups_may_use_a_table_twice() -> None:
    """A chain names each of its steps, so it is as long as it is written: a table may be looked into twice, and nothing loops."""
    rule = "{column: v, lookup: {table: public.t, column: a, then: {table: public.t, column: b}}}"
    assert problems(field("customer", "notes", rule)) == []


def test_demo_dictionaries_compile() -> None:
    from streams.dictionary.compile.compiler import compile_dictionary

    root = Path(__file__).parents[2] / "connectors"
    for system in ("demo-crm", "demo-erp"):
        compile_dictionary(load_dictionary(root / system))
