"""Read a `dictionary.yaml`: in goes a file, out comes a frozen `Dictionary`.

Every mistake of form is found at once. It is raised in one DictionaryError, each with its file, line and field, with
what is wrong and what would be right.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from streams.dictionary.form_words import form_mistake, shown
from streams.dictionary.language.dictionary import Dictionary, Table, Target
from streams.dictionary.language.mapping_rule import Equal, Exchange, Lookup, MappingRule, Rates, Reference
from streams.dictionary.problems import DictionaryError, Problem
from streams.dictionary.yaml_lines import YamlFile, YamlPath, load_yaml


def load_dictionary(path: Path) -> Dictionary:
    """Read `dictionary.yaml` (or the folder that holds it). Raises DictionaryError with every mistake of form."""
    file = path / "dictionary.yaml" if path.is_dir() else path
    data, lines = load_yaml(file)
    return parse_dictionary(data, YamlFile(file, lines))


def parse_dictionary(data: object, file: YamlFile) -> Dictionary:
    """Check the form of plain values that were read from `file`. Raises DictionaryError with every mistake."""
    if not isinstance(data, dict):
        raise DictionaryError([file.problem((), "is not a mapping", "begin with `system:` and `tables:`")])
    try:
        dictionary = Dictionary.model_validate(data)
    except ValidationError as error:
        raise DictionaryError([_problem(file, detail) for detail in error.errors(include_url=False)]) from None
    dictionary._file = file
    return dictionary


def _model_at(path: YamlPath) -> type[BaseModel]:
    """The class of the part of the language at `path`: a message about an unknown word lists the words of
    that class.
    """
    model: type[BaseModel] = Dictionary
    for step in path:
        if model is Dictionary and step == "tables":
            model = Table
        elif model is Table and step == "to":
            model = Target
        elif step in ("fields", "attributes"):
            model = MappingRule
        elif step in ("parent", "same_as"):
            model = Reference
        elif step in ("lookup", "then"):
            model = Lookup
        elif model is Lookup and step == "where":
            model = Equal
        elif step in ("rates", "convert"):
            model = Rates if step == "rates" else Exchange
    return model


def _problem(file: YamlFile, detail: ErrorDetails) -> Problem:
    """An error of pydantic as a Problem in the words of the dictionary language."""
    path: YamlPath = tuple(detail["loc"])
    kind, given = detail["type"], detail.get("input")
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        model = _model_at(path[:-1])
        words = list(model.model_fields)
        if model is Target and path[-1] == "match":
            right = (
                "remove it: `match` of the entity in ownership.yaml says which records are the same, for all systems"
            )
            return file.problem(path, "does not belong in a dictionary", right)
        near = get_close_matches(str(path[-1]), words, n=1)
        right = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(words)}"
        return file.problem(path, "is not a word of the language here", right)
    if kind == "missing":
        field = _model_at(path[:-1]).model_fields.get(str(path[-1]))
        return file.problem(path, "is missing", (field.description or "") if field else "")
    if kind == "model_type" and context["class_name"] == "MappingRule":
        return file.problem(path, f"is {shown(given)}, not a rule", "write a column's name, or {column: …}")
    return file.problem(path, *form_mistake(detail))
