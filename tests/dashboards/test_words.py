"""Chinese and English: every text of the pages is translated, every word of the database has a name, times are local."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import dashboards
from dashboards import times
from dashboards.language import LANGUAGES, catalog, choose
from dashboards.words import KINDS, OUTCOMES, REJECTIONS, SEVERITIES, STATES
from homecare.answers import Outcome
from homecare.messages import RejectionReason
from homecare.triggers import Kind, Severity

HERE = Path(dashboards.__file__).parent
Text = str | tuple[str, ...]


def used() -> Iterator[Text]:
    methods = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
    keywords = {"_": None, "ngettext": (1, 2)}
    for _, _, text, _, _ in extract_from_dir(str(HERE), method_map=methods, keywords=keywords):
        yield text


def stored(language: str) -> Catalog:
    with (HERE / "locale" / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def test_every_text_is_translated_into_chinese_and_none_is_left_over() -> None:
    chinese = stored("zh")
    texts = set(used())
    known = {message.id for message in chinese if message.id}
    assert texts - known == set()
    assert known - texts == set()
    assert [
        message.id
        for message in chinese
        if message.id and (not message.string or (message.pluralizable and "" in message.string) or message.fuzzy)
    ] == []


def test_texts_with_numbers_have_both_english_forms() -> None:
    english = {message.id for message in stored("en") if message.id}
    assert {text for text in used() if isinstance(text, tuple)} == english
    assert catalog("en").ngettext("%(num)s byte", "%(num)s bytes", 1) == "%(num)s byte"


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_survive_translation(language: str) -> None:
    for message in stored(language):
        assert not list(message.check()), message.id


def test_every_word_of_the_database_has_a_name() -> None:
    for words, kind in (
        (KINDS, Kind),
        (SEVERITIES, Severity),
        (OUTCOMES, Outcome),
        (REJECTIONS, RejectionReason),
    ):
        assert set(words) == set(get_args(kind))
    assert set(STATES) == {"open", "acknowledged", "resolved", "cancelled"}


def test_chinese_is_spoken_unless_another_language_is_asked_for() -> None:
    assert choose() == "zh"
    assert choose(None, "fr", "en") == "en"
    assert choose("zh", "en") == "zh"


def test_times_are_the_persons_own() -> None:
    moment = datetime(2026, 11, 21, 19, 7, 5, tzinfo=UTC)
    zone = ZoneInfo("Asia/Shanghai")
    assert times.day_and_time(moment, zone, "zh") == "11月22日 03:07"
    assert times.day_and_time(moment, zone, "en") == "22 Nov 03:07"
    assert times.clock_time(moment, zone, "en") == "03:07:05"
    assert times.zone_name(moment, zone, "zh") == "中国标准时间"
