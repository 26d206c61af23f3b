"""`streams/` uses the words of docs/glossary.md: none of those that its last table lists as not used."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
STREAMS = ROOT / "streams"
ALLOWED: dict[tuple[str, str], str] = {
    ("streams/dictionary/language/mapping_rule.py", "part"): "a word of dictionary.yaml: which piece of `split`",
}
"""(file, word) → why the word is right there."""


class Banned(NamedTuple):
    """What the glossary's last table lists, by where it may not stand."""

    in_names: frozenset[str]
    whole_names: frozenset[str]
    in_text: frozenset[str]


class Use(NamedTuple):
    """One use of a word that the glossary lists as not used."""

    file: str
    line: int
    word: str
    where: str


def read_glossary(page: str) -> Banned:
    """The words of the table under "Words that we do not use"."""
    section = page.split("\n## Words that we do not use", 1)[1].split("\n## ", 1)[0]
    words: dict[str, set[str]] = {"name": set(), "whole name": set(), "text": set()}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 3 and cells[0].startswith("`"):
            for where in cells[2].split(", "):
                words[where].update(re.findall(r"`([^`]+)`", cells[0]))
    return Banned(frozenset(words["name"]), frozenset(words["whole name"]), frozenset(words["text"]))


def banned_text(banned: Banned) -> re.Pattern[str]:
    """What finds the words that may not stand in text."""
    return re.compile(rf"\b({'|'.join(sorted(banned.in_text))})\b", re.IGNORECASE)


def words_of_name(name: str) -> list[str]:
    """`deadLetter_of` → dead, letter, of."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def names_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) of every module alias, class, function, argument, variable and attribute that a file defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield 0, node.asname


def texts_of(tree: ast.AST, source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of every string and comment of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def banned_in_name(name: str, banned: Banned) -> Iterator[str]:
    """The words of a name that may not stand in it; `letter` may follow `dead`."""
    if name in banned.whole_names:
        yield name
    words = words_of_name(name)
    for before, word in zip(["", *words], words, strict=False):
        if word in banned.in_names and not (before == "dead" and word in {"letter", "letters"}):
            yield word


def uses_in_python(file: str, source: str, banned: Banned) -> Iterator[Use]:
    """What a Python file uses of the banned words."""
    text = banned_text(banned)
    tree = ast.parse(source)
    for word in banned_in_name(Path(file).stem, banned):
        yield Use(file, 1, word, "file name")
    for line, name in names_of(tree):
        for word in banned_in_name(name, banned):
            yield Use(file, line, word, f"name {name}")
    for line, value in texts_of(tree, source):
        for match in text.finditer(value):
            yield Use(file, line + value.count("\n", 0, match.start()), match[1].lower(), "text")


def uses_in_sql(file: str, source: str, banned: Banned) -> Iterator[Use]:
    """What a file of SQL uses of the banned words: in names outside comments, in text everywhere."""
    text = banned_text(banned)
    for number, line in enumerate(source.splitlines(), 1):
        statement = re.sub(r"'[^']*'", "", line).split("--", 1)[0]
        for name in re.findall(r"[A-Za-z_]\w*", statement):
            for word in banned_in_name(name, banned):
                yield Use(file, number, word, f"name {name}")
        for match in text.finditer(line):
            yield Use(file, number, match[1].lower(), "text")


@cache
def all_uses() -> tuple[Use, ...]:
    """Every use in `streams/`. Migrations are left out: one that was applied is never changed."""
    banned = read_glossary((ROOT / "docs/glossary.md").read_text(encoding="utf-8"))
    uses: list[Use] = []
    for path in sorted([*STREAMS.rglob("*.py"), *STREAMS.rglob("*.sql")]):
        file = str(path.relative_to(ROOT))
        source = path.read_text(encoding="utf-8")
        read = uses_in_python if path.suffix == ".py" else uses_in_sql
        uses.extend(read(file, source, banned))
    return tuple(uses)


def test_streams_uses_the_words_of_the_glossary() -> None:
    wrong = [
        f"{use.file}:{use.line}: {use.word} ({use.where})" for use in all_uses() if (use.file, use.word) not in ALLOWED
    ]
    assert wrong == [], "\n".join(wrong)


def test_pages_use_the_words_of_the_glossary() -> None:
    glossary = ROOT / "docs/glossary.md"
    text = banned_text(read_glossary(glossary.read_text(encoding="utf-8")))
    wrong = []
    for path in [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "connectors").rglob("*.md"),
        *ROOT.glob("*.md"),
        ROOT / "benchmarks/README.md",
    ]:
        page = re.sub(r"^```.*?^```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        if path != glossary:
            wrong += [f"{path.relative_to(ROOT)}: {match[1]}" for match in text.finditer(page)]
    assert wrong == [], "\n".join(wrong)


def test_every_exception_is_still_needed() -> None:
    assert set(ALLOWED) <= {(use.file, use.word) for use in all_uses()}


def test_glossary_lists_words_for_each_place() -> None:
    banned = read_glossary((ROOT / "docs/glossary.md").read_text(encoding="utf-8"))
    assert {"told", "anew", "aside"} <= banned.in_names & banned.in_text
    assert {"one", "found"} <= banned.whole_names
    assert "standing still" in banned.in_text


def test_a_banned_word_is_found_in_names_comments_and_strings() -> None:
    banned = Banned(frozenset({"told", "letter"}), frozenset({"one"}), frozenset({"told"}))
    source = '"""What is told."""\n\nTOLD_AT = "x"  # Told once.\none = dead_letter = letter = someone = 1\n'
    assert [(use.line, use.word, use.where) for use in uses_in_python("streams/a.py", source, banned)] == [
        (3, "told", "name TOLD_AT"),
        (4, "one", "name one"),
        (4, "letter", "name letter"),
        (1, "told", "text"),
        (3, "told", "text"),
    ]
