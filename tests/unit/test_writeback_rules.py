"""Rules are checked when they are loaded: all errors at once, each with what would be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.dictionary.problems import DictionaryError
from streams.writeback.http_rules import HttpAction
from streams.writeback.load import load_rules

CONNECTORS = Path(__file__).parents[2] / "connectors"
SQL = {"adapter": "sql", "host": "h", "dbname": "d", "user": "u"}
HTTP = {"adapter": "http", "base_url": "http://h"}
STEPS = {"steps": [{"name": "order", "sql": "SELECT %(net)s AS id"}], "repeatable": True}
SEND = {"send": {"path": "/o", "json": {"net": "$net"}}, "result": {"order.id": "id"}}
WON: dict[str, Any] = {"entity": "opportunity", "becomes": {"stage": "won"}}
NET = {"net": {"from": "record.amount", "as": "money"}}


def errors_of(folder: Path, target: dict[str, Any], **rule: Any) -> list[str]:
    """The errors of loading a rule `r` of a system `shop`."""
    shop = folder / "shop"
    shop.mkdir(exist_ok=True)
    file = shop / "writeback.yaml"
    file.write_text(yaml.safe_dump({"system": "shop", "target": target, "rules": {"r": rule}}), encoding="utf-8")
    try:
        load_rules(folder, ["shop"])
    except DictionaryError as error:
        assert all(problem.file == file and problem.line > 0 for problem in error.problems)
        return [f"{problem.field}: {problem.what}; {problem.right}" for problem in error.problems]
    return []


def test_valid_rule_has_no_errors(tmp_path: Path) -> None:
    assert load_rules(CONNECTORS, ["demo-crm", "demo-erp"])
    assert errors_of(tmp_path, SQL, **WON, params=NET, sql=STEPS) == []
    assert errors_of(tmp_path, HTTP, **WON, params=NET, http=SEND) == []


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"params": {"net": {"from": "record.amnount", "as": "money"}}}, "params.net: record.amnount: opportunity has no field 'amnount'; did you mean 'amount'?"),
        ({"params": {"net": "customer.name"}}, "after the name of a record comes `record`, `keys` or `contributions`"),
        ({"params": {"net": "custommer.record.name"}}, "did you mean 'customer'?"),
        ({"params": {"net": "keys.shopp"}}, "params.net: keys.shopp: there is no system 'shopp'; did you mean 'shop'?"),
        ({"params": {"net": "given.order.id"}}, "only a rule with `after`"),
        ({"params": {"net": "record.amount"}}, "params.net: record.amount is a decimal, kept as a whole number: add `as`, one of money, cents, rate"),
        ({"params": {"net": {"from": "record.amount", "as": "qty"}}}, "record.amount is a decimal of 4 digits, not `as: qty`"),
        ({"params": {"net": {"from": "record.won_at", "as": "date"}}}, "record.won_at is a timestamp, not `as: date`; one of timestamp, local_time"),
        ({"lines": {"sku": "product.record.skuu"}}, "lines.sku: product.record.skuu: product has no field 'skuu'; did you mean 'sku'?"),
        ({"becomes": {"stage": "Won"}}, "becomes.stage: it is never 'Won'; did you mean 'won'?"),
        ({"unless": ["salesorder"]}, "unless: aggregate order_flow has no entity 'salesorder'; did you mean 'sales_order'?"),
        ({"unless": ["customer"]}, "unless: aggregate order_flow has no entity 'customer'"),
        ({"becomes": {}, "also_by_target": True, "values": {"order_status": "record.order_status"}}, "`also_by_target` is for rules with `becomes`"),
        ({"approval": [{"reason": "x", "when": {"customer.record.blocked": True}}]}, "approval.0.when: customer.record.blocked: customer has no field"),
        ({"approval": [{"reason": "x", "when": {"target.blocked": True}}]}, "the rule has no `now`"),
        ({"approval": [{"reason": "x", "over": 5, "amount": "ammount"}]}, "approval.0.amount: opportunity has no amount 'ammount'; did you mean 'amount'?"),
        ({"ready": {"header": "net"}, "lines": {"no": "line.line_no"}}, "ready.header: opportunity has no amount 'net'"),
        ({"sql": {"repeatable": True, "steps": [{"name": "o", "sql": "SELECT %(nett)s"}]}}, "sql.steps.o.sql: there is no parameter 'nett'; did you mean 'net'?"),
        ({"sql": {"repeatable": True, "steps": [{"name": "o", "sql": "SELECT %(customer.id)s"}]}}, "sql.steps.o.sql: there is no parameter 'customer.id'"),
        ({"sql": {"repeatable": True, "steps": [{"name": "o", "sql": "SELECT 'x' LIKE 'a%'"}]}}, "a percent sign is written %%"),
        ({"sql": STEPS | {"lock": "nothing"}}, "sql.lock: there is no parameter 'nothing'"),
        ({"sql": STEPS | {"read_back": {"sql": "SELECT 1 AS net", "compare": ["nothere"]}}}, "sql.read_back.compare: there is no parameter 'nothere'"),
        ({"sql": STEPS | {"read_back": {"sql": "SELECT 1 AS x WHERE %(net)s > 0", "compare": ["net"]}}}, "sql.read_back.sql returns no column 'net'"),
        ({"sql": {"steps": [{"name": "o", "sql": "SELECT 1"}]}}, "sql: a step that ran may run again after a crash: add `look_up`"),
        ({"by_hand": {"entity": "sales_order", "values": {"net_amount": "record.name"}}}, "record.name is a text, sales_order.net_amount is a decimal"),
    ],
)  # fmt: skip
def test_error_says_what_would_be_right(tmp_path: Path, rule: dict[str, Any], message: str) -> None:
    (error,) = errors_of(tmp_path, SQL, **(WON | {"params": NET, "sql": STEPS} | rule))
    assert message in error


VALUES: dict[str, Any] = {"entity": "product", "values": {"list_price": {"from": "record.list_price", "as": "cents"}}}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"http": {"send": {"path": "/p/$subjekt"}, "result": {"id": "id"}}}, "http.send.path: there is no parameter 'subjekt'; did you mean 'subject'?"),
        ({"http": {"send": {"path": "/p", "json": [{"x": "a $text:prise"}]}, "result": {"id": "id"}}}, "http.send.json: there is no parameter 'prise'"),
        ({"http": {"send": {"path": "/p"}, "read_back": {"path": "/p/$order.id"}, "compare": {"price": "list_price"}}}, "http.read_back.path: there is no parameter 'order.id'"),
        ({"http": {"send": {"path": "/p"}, "read_back": {"path": "/p"}, "compare": {"price": "prise"}}}, "http.compare: there is no parameter 'prise'"),
        ({"http": {"send": {"path": "/p"}, "result": {"id": "id"}, "compare": {"price": "list_price"}}}, "http.compare: needs `read` or `read_back`"),
        ({"http": {"send": {"path": "/p"}, "result": {"id": "id"}, "read": {"path": "/p"}, "compare": {"a": "key"}}}, "`compare` has no path for list_price"),
        ({"http": {"send": {"path": "/p"}}}, "nothing proves that it was done: add `result`"),
        ({"http": {"send": {"path": "/p"}, "read": {"path": "/p"}, "compare": {"a": "list_price"}}}, "nothing proves that it was done"),
        ({"http": {"send": {"path": "/p"}, "look_up": {"method": "GET", "path": "/p"}, "read_back": {"path": "/p"}, "compare": {"a": "list_price"}}}, "http.look_up: any answer would count as found"),
        ({"http": {"send": {"path": "/p"}, "look_up": {"path": "/p", "match": {"ref": "kee"}}, "result": {"id": "id"}}}, "http.look_up.match: there is no parameter 'kee'; did you mean 'key'?"),
        ({"http": {"send": {"path": "/p", "json": "$secret.token"}, "result": {"id": "id"}}}, "http.send.json: there is no parameter 'secret.token'"),
        ({"values": {"lst_price": "record.list_price"}}, "values: product has no field 'lst_price'; did you mean 'list_price'?"),
        ({"values": {"list_price": {"from": "record.list_price", "as": "money"}}}, "values.list_price: must stay in canonical form"),
        ({"values": {"list_price": "record.available"}}, "record.available is a decimal of 6 digits, product.list_price is a decimal of 4 digits"),
        ({"skip_when": {"price": None}}, "skip_when: `values` has no 'price'"),
    ],
)  # fmt: skip
def test_error_of_an_http_rule_says_what_would_be_right(tmp_path: Path, rule: dict[str, Any], message: str) -> None:
    (error,) = errors_of(tmp_path, HTTP, **(VALUES | {"http": {"send": {"path": "/p"}, "result": {"id": "id"}}} | rule))
    assert message in error


def test_all_errors_are_reported_at_once(tmp_path: Path) -> None:
    params = {"net": {"from": "record.amnount", "as": "money"}, "other": "record.nam"}
    errors = errors_of(tmp_path, SQL, **WON, unless=["salesorder"], params=params, sql=STEPS | {"lock": "x"})
    # In the order of their lines; yaml.safe_dump sorts the words.
    assert [error.split(":")[0].removeprefix("rules.") for error in errors] == [
        "r.params.net",
        "r.params.other",
        "r.sql.lock",
        "r.unless",
    ]


def test_request_is_not_repeatable_without_an_idempotency_header() -> None:
    action = HttpAction.model_validate(SEND)
    assert action.idempotency_header is None and not action.can_find_out


STEP = {"name": "quote", "path": "/q/$order.id", "repeatable": True}


@pytest.mark.parametrize(
    ("http", "message"),
    [
        ({"steps": [{"name": "a", "path": "/a"}]}, "needs `find`, which finds what it did before, or `repeatable: true`"),
        ({"steps": [{"name": "a", "path": "/a", "find": {"path": "/f"}}]}, "any answer to `find` would count as found"),
        ({"steps": [STEP]}, "http.steps.quote.path: there is no parameter 'order.id'"),
        ({"steps": [{**STEP, "path": "/q", "result": {"net": "x"}}]}, "http.steps.quote.result: 'net' is a parameter already"),
        ({"steps": [{**STEP, "path": "/q"}] * 2}, "http.steps: 2 steps have the name 'quote'"),
        ({"send": {**SEND["send"], "form": {"a": "$net"}}}, "a request has one body"),
        ({"send": {"path": "/o", "method": "DELETE", "json": {"a": 1}}}, "DELETE has no body"),
        ({"send": {"path": "/o", "form": {"a": "$nett"}}}, "http.send.form: there is no parameter 'nett'; did you mean 'net'?"),
        ({"send": {"path": "/o", "xml": "<a>$nett</a>"}}, "http.send.xml: there is no parameter 'nett'"),
        ({"send": {"path": "/o", "multipart": {"f": {"file": "a", "content": "$nett"}}}}, "http.send.multipart: there is no parameter 'nett'"),
    ],
)  # fmt: skip
def test_mistakes_in_steps_and_bodies_are_named(tmp_path: Path, http: dict[str, Any], message: str) -> None:
    (first, *_) = errors_of(tmp_path, HTTP, **WON, params=NET, http={**SEND, **http})
    assert message in first


def test_result_of_a_step_is_a_parameter_of_what_comes_after_it(tmp_path: Path) -> None:
    made = {"name": "make", "path": "/o", "repeatable": True, "json": {"net": "$net"}, "result": {"order.id": "id"}}
    http = {
        "steps": [made, STEP],
        "send": {"path": "/c/$order.id"},
        "read_back": {"path": "/o/$order.id"},
        "compare": {"net": "net"},
    }
    assert errors_of(tmp_path, HTTP, **WON, params=NET, http=http) == []


BATCH = {"batch": {"items": "made"}, "look_up": {"path": "/o", "result": {"order.id": "id"}}}


@pytest.mark.parametrize(
    ("http", "message"),
    [
        (BATCH, "http.batch: `send.json` has no list over the intents"),
        ({**BATCH, "look_up": None}, "`batch` needs `look_up`, or `repeatable: true`"),
        ({**BATCH, "steps": [{**STEP, "path": "/q"}]}, "it has no `steps`, `read` or `idempotency_header`"),
        ({**BATCH, "send": {"path": "/o", "json": [{"each": "intents", "do": {"n": "$nett"}}]}}, "http.send.json: there is no parameter 'nett'"),
        ({**BATCH, "batch": {"items": "made", "match": {"ref": "keyy"}}, "send": {"path": "/o", "json": [{"each": "intents", "do": 1}]}}, "http.batch.match: there is no parameter 'keyy'"),
    ],
)  # fmt: skip
def test_mistakes_in_batches_are_named(tmp_path: Path, http: dict[str, Any], message: str) -> None:
    (first, *_) = errors_of(tmp_path, HTTP, **WON, params=NET, http={**SEND, **http})
    assert message in first
