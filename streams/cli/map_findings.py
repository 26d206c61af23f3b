"""What `opshub map check` reports of one system: mistakes, warnings, examples that fail, and what does not fit the
database.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

from streams.cli.map_systems import compile_live, dsn_of, reading_source, system_of
from streams.errors import ConfigError

if TYPE_CHECKING:
    from streams.dictionary.check.all_problems import DictionaryCheck
    from streams.dictionary.language.dictionary import Dictionary
    from streams.dictionary.problems import Problem
    from streams.dictionary.yaml_lines import YamlPath
    from streams.mapping.compiled import CompiledDictionary
    from streams.settings import Settings


_FOUND_IN_CATALOG = {"table-missing", "column-missing", "replica-identity-full"}
"""Findings of capture that the comparison with the catalogue reports with the line of the field."""


class FindingView(TypedDict):
    """One entry of the report, as `--json` prints it. `level` is error or warning."""

    level: str
    file: str
    line: int
    field: str
    what: str
    right: str


class SystemReport(NamedTuple):
    """The report of one system."""

    findings: list[FindingView]
    summary: str
    """One line for people; '' if nothing can be said."""
    file_is_wrong: bool
    """Whether dictionary.yaml or examples.yaml cannot be used as it is."""


def finding_of(level: str, problem: Problem) -> FindingView:
    """A problem as an entry of the report."""
    return {
        "level": level,
        "file": str(problem.file),
        "line": problem.line,
        "field": problem.field,
        "what": problem.what,
        "right": problem.right,
    }


def writeback_problems(settings: Settings, folders: Sequence[Path]) -> list[Problem]:
    """What is wrong with the writeback.yaml of these folders. A rule may follow one of a system beside it, so all of a
    parent folder are read.
    """
    from streams.writeback.load import FILE, read_rules

    problems: list[Problem] = []
    for parent in dict.fromkeys(folder.parent for folder in folders):
        named = [folder.name for folder in folders if folder.parent == parent]
        beside = sorted(file.parent.name for file in parent.glob(f"*/{FILE}") if file.parent.name in settings.systems)
        of_parent = read_rules(parent, list(dict.fromkeys([*named, *beside])))[1]
        problems += [problem for problem in of_parent if problem.file.parent.name in named]
    return problems


def check_system(
    settings: Settings, folder: Path, checked: DictionaryCheck, *, live: bool, dsn: str | None
) -> SystemReport:
    """Run the examples of a dictionary that is right; with `live`, compare it with its database, even if
    it is wrong, and run the examples with the types of the database's columns.
    """
    findings = [finding_of("error", problem) for problem in checked.problems]
    summary, file_is_wrong = "", False
    if checked.problems:
        summary, file_is_wrong = f"{folder.name}: its examples were not run, the dictionary is wrong", True
    elif checked.compiled is not None:
        findings += [finding_of("warning", problem) for problem in checked.warnings]
        compiled = checked.compiled
        if live and checked.dictionary is not None:
            compiled = compile_live(settings, folder, checked.dictionary, dsn)
        summary, file_is_wrong = _run_examples(folder, compiled, findings)
    if live:
        findings += _compare_with_database(settings, folder, checked, dsn)
    return SystemReport(findings, summary, file_is_wrong)


def _run_examples(folder: Path, compiled: CompiledDictionary, findings: list[FindingView]) -> tuple[str, bool]:
    """Run examples.yaml, if there is one, and add what fails to `findings`: (summary, whether the file is wrong)."""
    from streams.dictionary.check.examples import check_examples
    from streams.dictionary.problems import DictionaryError

    file = folder / "examples.yaml"
    count = 0
    if file.is_file():
        try:
            count, failed = check_examples(compiled, file)
        except DictionaryError as error:
            findings += [finding_of("error", problem) for problem in error.problems]
            return f"{folder.name}: its examples were not run, they are wrong", True
        findings += [finding_of("error", problem) for problem in failed]
    return f"{folder.name}: {len(compiled.tables)} tables, {count} examples", False


def _compare_with_database(
    settings: Settings, folder: Path, checked: DictionaryCheck, dsn: str | None
) -> list[FindingView]:
    """What does not fit the live database. Of a wrong dictionary only errors, and not those of tables that
    are wrong.
    """
    from streams.capture.captured_tables import judge_table, read_publication, read_tables
    from streams.dictionary.check.live_database import LiveFinding, check_live_database
    from streams.dictionary.source_catalog import read_catalog
    from streams.provision.systems import DATABASES

    dictionary, compiled = checked.dictionary, checked.compiled
    if dictionary is None or compiled is None:
        return []
    if dictionary.kind not in DATABASES:
        raise ConfigError(
            f"{dictionary.system} is no database: its kind is {dictionary.kind}",
            remedy="--live reads the catalogues of databases only",
        )
    address = dsn_of(settings, folder, compiled, dsn)
    with reading_source(address, f"the catalogue of {dictionary.system} cannot be read") as connection:
        catalog = read_catalog(connection)
        system = system_of(folder, compiled)
        publication, facts = read_publication(connection, system), read_tables(connection, system)
    findings = check_live_database(dictionary, compiled, catalog)
    for name, table in compiled.tables.items():
        for finding in judge_table(system, table, facts.get(name), publication):
            if finding.code not in _FOUND_IN_CATALOG:
                # Another role than the one that captures: what it cannot see says nothing about capture.
                level: Literal["error", "warning"] = (
                    "warning" if dsn is not None and finding.code in ("table-right", "row-security") else "error"
                )
                path = _path_of(dictionary, name, finding.what)
                findings.append(LiveFinding(level, dictionary.file.problem(path, finding.what, finding.remedy)))
    return [
        finding_of(level, problem)
        for level, problem in findings
        if not checked.problems or (level == "error" and not checked.names_removed_table(problem))
    ]


def _path_of(dictionary: Dictionary, table: str, what: str) -> YamlPath:
    """The field that reads the column that a finding is about, or else the table."""
    for i, target in enumerate(dictionary.tables[table].to):
        for name, rule in target.fields.items():
            if rule.column is not None and f"reads {rule.column}," in what:
                return ("tables", table, "to", i, "fields", name)
    return ("tables", table)
