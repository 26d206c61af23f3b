"""Every alert has words of the console, in each language, and pages show them."""

from __future__ import annotations

import pytest
from jinja2 import Environment

from streams.console.alert_texts import ALERTS
from streams.console.languages import LANGUAGES, texts_of, translate
from streams.console.render import environment
from tests.unit.test_alert_rules import codes

TEMPLATE = '{% from "parts/ui.html" import alert_what, alert_remedy with context %}{{ alert_what(code, where, own) }}|{{ alert_remedy(code, where, own) }}'


def test_every_alert_has_words() -> None:
    assert set(ALERTS) == codes()


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_every_alert_is_translated(language: str) -> None:
    known = texts_of(language)
    for code, words in ALERTS.items():
        for text in (words.what, words.remedy):
            assert text in known, (code, text)


def test_pages_show_an_alert_in_their_language_and_its_own_message_folded() -> None:
    shown = _shown("zh", "source-away", "demo-crm", "the database does not answer: <timeout>")
    assert "demo-crm 的数据库没有响应" in shown
    assert '<span lang="en">the database does not answer: &lt;timeout&gt;</span>' in shown
    assert "启动它" in shown.partition("|")[2]


def test_english_pages_show_the_message_of_the_alert_alone() -> None:
    assert _shown("en", "parked-keys", "", "12 keys are parked") == "12 keys are parked|12 keys are parked"


def test_an_alert_of_a_later_version_is_shown_as_it_is() -> None:
    assert _shown("zh", "not-known-here", "", "something new").startswith("something new|")


def _shown(language: str, code: str, where: str, own: str) -> str:
    templates: Environment = environment()

    def text(english: str, /, **values: object) -> str:
        return translate(language, english, **values)

    values = {"_": text, "language": language, "code": code, "where": where, "own": own}
    return templates.from_string(TEMPLATE).render(values).strip()
