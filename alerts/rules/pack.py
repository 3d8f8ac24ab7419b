"""The rule pack: rules as data, checked when loaded, so that a wrong number stops the program instead of an alarm.

A pack is one TOML file with a section per kind of rule (`limit`, `silence`, those of `operators.OPERATORS`) and one for
events; `pack.toml` beside this module is the default and the example to follow.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from alerts.rules.event_rules import EventRule, check_events
from alerts.rules.limit_rules import LimitRule, check_limit
from alerts.rules.operators import OPERATORS
from alerts.rules.sections import Section, Strict, convert, wrong
from alerts.rules.silence_rule import SilenceRule, check_silence
from homecare.errors import InputError

DEFAULT = Path(__file__).with_name("pack.toml")
SECTIONS: dict[str, Section] = {section.name: section for section in OPERATORS}
"""The operators' sections by name."""


class General(Strict, frozen=True):
    """What holds for all rules. `lateness_s`: how much older than its time of receipt a reading may be and still count."""

    lateness_s: float


class Pack(msgspec.Struct, frozen=True):
    """All rules by name."""

    general: General
    limit: dict[str, LimitRule]
    silence: SilenceRule | None
    event: dict[str, EventRule]
    rules: dict[str, dict[str, Strict]] = {}
    """The operators' rules: section -> name of the rule -> rule (of `Section.rule`); a single one is named as its section."""

    @property
    def lateness_ms(self) -> int:
        """The allowed lateness in ms."""
        return round(self.general.lateness_s * 1000)


def load_pack(path: Path | str | None = None) -> Pack:
    """The pack in `path`, or the default one.

    Raises:
        InputError: names the file, the rule, the field and what was expected.
    """
    path = Path(path) if path is not None else DEFAULT
    try:
        return parse_pack(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"rule pack {path}: cannot be read ({error})") from error
    except InputError as error:
        raise InputError(f"rule pack {path}: {error}") from None


def parse_pack(text: str, sections: Mapping[str, Section] = SECTIONS) -> Pack:
    """The pack written in `text` (TOML). Raises InputError as `load_pack`, without the file."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not TOML: {error}") from None
    return build_pack(raw, sections)


def build_pack(raw: Mapping[str, Any], sections: Mapping[str, Section] = SECTIONS, *, partial: bool = False) -> Pack:
    """The pack that the tables `raw` say. `partial`: only some rules, the events' left out altogether if need be.

    Raises:
        InputError: names the rule, the field and what was expected.
    """
    names = ["pack", "limit", "silence", "event", *sections]
    for name in raw.keys() - set(names):
        raise InputError(f"section {name}: expected one of {', '.join(names)}")
    pack = Pack(
        general=convert("pack", raw.get("pack", {}), General),
        limit={name: convert(f"limit.{name}", body, LimitRule) for name, body in _rules(raw, "limit").items()},
        silence=convert("silence", raw["silence"], SilenceRule) if "silence" in raw else None,
        event={name: convert(f"event.{name}", body, EventRule) for name, body in _rules(raw, "event").items()},
        rules={name: _section(raw, section) for name, section in sections.items() if name in raw},
    )
    if not 0 <= pack.general.lateness_s <= 86_400:
        raise wrong("pack", "lateness_s", "expected 0 to 86400 seconds", pack.general.lateness_s)
    for name, rule in pack.limit.items():
        check_limit(f"limit.{name}", rule)
    if pack.silence is not None:
        check_silence("silence", pack.silence)
    if not partial or pack.event:
        check_events(pack.event)
    return pack


def _section(raw: Mapping[str, Any], section: Section) -> dict[str, Strict]:
    bodies = {section.name: raw[section.name]} if section.single else _rules(raw, section.name)
    rules = {}
    for name, body in bodies.items():
        full = section.name if section.single else f"{section.name}.{name}"
        rules[name] = convert(full, body, section.rule)
        section.check(full, rules[name])
    return rules


def _rules(raw: Mapping[str, Any], section: str) -> dict[str, Any]:
    body = raw.get(section, {})
    if not isinstance(body, dict):
        raise InputError(f"section {section}: expected rules by name, [{section}.NAME]")
    return body
