"""What the documentation names exists: files, links, verbs and options of the command, targets of make, settings."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer

from streams.cli.verbs import GROUPS, VERBS
from streams.settings import Settings
from streams.settings.variables import secret_variables

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "connectors").rglob("*.md"),
        *(ROOT / "docker").rglob("*.md"),
        *ROOT.glob("README*.md"),
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        ROOT / "benchmarks/README.md",
    ]
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def slug(heading: str) -> str:
    """The anchor that GitHub and mkdocs give a heading."""
    text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", text))


def links(page: str) -> Iterator[str]:
    """Targets of the links and images of a page, without those inside code."""
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", page, flags=re.DOTALL)
    for match in re.finditer(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", prose):
        yield match[1] or match[2]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_relative_links_resolve(path: Path) -> None:
    broken = []
    for link in links(path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists():
            broken.append(link)
        elif anchor and target.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
            if anchor not in {slug(heading) for heading in headings}:
                broken.append(link)
    assert broken == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_named_files_exist(path: Path) -> None:
    named = re.findall(
        r"\b((?:streams|tests|benchmarks|connectors|schemas|docker|docs)/[\w/.-]*\.(?:py|sql|yaml|json|md|avsc|lock|toml|yml))\b",
        path.read_text(encoding="utf-8"),
    )
    assert [name for name in named if not (ROOT / name).exists() and not name.startswith("connectors/")] == []


def code_of(page: str) -> Iterator[str]:
    """Lines of the blocks of code of a page, and what stands between backticks in its text."""
    fences = re.compile(r"^( *)```.*?\n(.*?)^\1```", flags=re.DOTALL | re.MULTILINE)
    for block in fences.finditer(page):
        yield from block[2].splitlines()
    prose = fences.sub("", page)
    yield from re.findall(r"^ {4}(.*)$", prose, flags=re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", prose)


def commands(page: str) -> Iterator[str]:
    """What follows `opshub` in each line of code that calls it."""
    for line in code_of(page):
        if match := re.match(r"\s*(?:\$ )?(?:\.venv/bin/)?opshub ([^#|]+)", line):
            yield match[1]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_named_verbs_exist(path: Path) -> None:
    verbs = {verb.words for verb in VERBS}
    unknown = []
    page = path.read_text(encoding="utf-8")
    if path.name == "CHANGELOG.md":
        page = page.split("\n## [0.")[0]  # a released version had the verbs of its time
    for command in commands(page):
        words = re.findall(r"^[a-z][a-z-]*(?:\|[a-z-]+)*|(?<= )[a-z][a-z-]*", command.split(" --")[0])
        if not words:
            continue
        if words[0] in GROUPS:
            if len(words) > 1 and " ".join(words[:2]) not in verbs:
                unknown.append(command)
        elif words[0] not in verbs:
            unknown.append(command)
    assert unknown == []


def test_verbs_named_in_messages_exist() -> None:
    verbs = {verb.words for verb in VERBS} | set(GROUPS)
    unknown = set()
    for path in sorted((ROOT / "streams").rglob("*.py")):
        for command in re.findall(r"`opshub ([a-z][a-z-]*(?: [a-z][a-z-]*)?)", path.read_text(encoding="utf-8")):
            group, _, verb = command.partition(" ")
            if (command if group in GROUPS and verb else group) not in verbs:
                unknown.add(f"{name_of(path)}: opshub {command}")
    assert unknown == set()


@cache
def options_of(words: str) -> frozenset[str]:
    """The options that a verb has."""
    verb = next(verb for verb in VERBS if verb.words == words)
    app = typer.Typer(add_completion=False)
    app.command()(getattr(importlib.import_module(verb.module), verb.function))
    command = typer.main.get_command(app)
    return frozenset(option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts))


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_named_options_exist(path: Path) -> None:
    verbs = {verb.words for verb in VERBS}
    unknown = []
    page = path.read_text(encoding="utf-8")
    if path.name == "CHANGELOG.md":
        page = page.split("\n## [0.")[0]  # a released version had the verbs of its time
    for command in commands(page):
        words = command.split()
        verb = next((name for name in (" ".join(words[:2]), words[0]) if name in verbs), None)
        named = {option for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", command)} - {"--help", "--version"}
        if verb is not None and not named <= options_of(verb):
            unknown.append(f"opshub {command}: {sorted(named - options_of(verb))}")
    assert unknown == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_named_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    lines = code_of(path.read_text(encoding="utf-8"))
    named = [match[1] for line in lines if (match := re.match(r"\s*(?:\$ )?make ([a-z-]+)", line))]
    assert [name for name in named if name not in targets] == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_named_settings_exist(path: Path) -> None:
    settings = {f"OPSHUB_{name.upper()}" for name in Settings.model_fields} | {"OPSHUB_FAULT"}
    settings |= {f"{variable}_FILE" for variable in secret_variables()}
    named = set(re.findall(r"\bOPSHUB_[A-Z_]+[A-Z]\b", path.read_text(encoding="utf-8")))
    assert sorted(named - settings) == []


def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    result = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_decisions_have_a_number_a_date_and_a_status() -> None:
    page = (ROOT / "docs/decisions.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", page, flags=re.MULTILINE)
    whole = re.findall(
        r"^## (\d+)\. .*\n\*\d{4}-\d\d-\d\d · (?:accepted|superseded by \d+)[^·]* · [a-z-]+\*$",
        page,
        flags=re.MULTILINE,
    )
    assert [int(number) for number in whole] == list(range(1, len(headings) + 1))


def test_every_decision_is_in_the_index() -> None:
    page = (ROOT / "docs/decisions.md").read_text(encoding="utf-8")
    index = re.findall(r"^- \[(\d+\. .*?)\]\(#", page, flags=re.MULTILINE)
    assert sorted(index) == sorted(re.findall(r"^## (.*)$", page, flags=re.MULTILINE))


@cache
def names_of_ours() -> frozenset[str]:
    """Names that begin with `opshub_`, of metrics, roles and tables, as code and connectors have them."""
    files = [path for folder in ("streams", "connectors") for path in (ROOT / folder).rglob("*") if path.is_file()]
    texts = [path.read_text(encoding="utf-8") for path in files if path.suffix in {".py", ".sql", ".json", ".yaml"}]
    return frozenset(name for text in texts for name in re.findall(r"\bopshub_[a-z_]+", text))


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_named_metrics_and_roles_exist(path: Path) -> None:
    named = set(re.findall(r"\bopshub_(?!my_)[a-z_]+(?=[`{ ])", path.read_text(encoding="utf-8")))
    plain = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in named}
    assert sorted(plain - names_of_ours()) == []
