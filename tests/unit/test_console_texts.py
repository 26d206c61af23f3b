"""Every text of the pages is translated, with the same names in braces; tours point at pages that exist."""

from __future__ import annotations

import re

from streams.console.catalog import findings, load_catalog, texts
from streams.console.languages import DEFAULT, LANGUAGES, translate
from streams.console.tours import LATE_FLOW, TOURS, step_at
from streams.training.exercises import EXERCISES
from tests.browser.sites import page_patterns


def test_every_text_is_translated() -> None:
    wanted = set(texts())
    wrong = [f"{name}: {one}" for name in LANGUAGES if name != DEFAULT for one in findings(load_catalog(name), wanted)]
    assert wrong == [], "\n".join(wrong) + "\n`python -m streams.console.catalog` writes them into locale/"


def test_an_untranslated_text_is_a_finding() -> None:
    assert findings(load_catalog("zh"), {"A text that no page has"}) == ["not translated: 'A text that no page has'"]


def test_a_text_without_translation_is_shown_in_english() -> None:
    assert translate("zh", "No page has {count}", count=3) == "No page has 3"
    assert translate("zh", "Flows") == "业务流"


def test_tours_lead_to_pages_that_exist() -> None:
    known = set(page_patterns())
    for role, tour in TOURS.items():
        for number, step in enumerate(tour.steps, 1):
            assert step.page == LATE_FLOW or re.sub(r"\?.*", "", step.page) in known, f"{role} {number}: {step.page}"
            assert step_at(role, number) is not None
    assert step_at("sales", 0) is None and step_at("nobody", 1) is None


def test_every_exercise_is_for_a_role_that_has_a_tour() -> None:
    assert {exercise.role for exercise in EXERCISES.values()} <= TOURS.keys()
