"""The rule pack as it holds for each area and resident: overrides applied from the root area down, then the resident's.

Few areas and people differ, and many of those alike: what comes out are a few *variants*, numbered, 0 being the pack.
All that one area or resident changes in one rule is taken or left together, so that moving two limits past each other
is no error half-way.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from alerts.rules.limit_rules import LimitRule, check_limit
from alerts.rules.pack import SECTIONS, Pack
from alerts.rules.sections import Section, Strict, convert, wrong
from alerts.rules.silence_rule import SilenceRule, check_silence
from homecare.errors import InputError
from homecare.overrides import Area, Override

MOST = 32_767
"""Variants there can be: their numbers are int16."""
FIXED = frozenset({"version", "kind", "scope", "metric", "side"})
"""Fields that say what a rule is: they are the same for everybody."""


class Problem(NamedTuple):
    """Overrides that cannot be followed: the rule goes on as it was for the area above."""

    whose: str
    rule: str
    text: str


Changes = dict[str, dict[str, Any]]
"""By rule: path of the field -> value."""


@dataclass(frozen=True, slots=True)
class Variants:
    """All variants of a pack, and whose they are."""

    packs: tuple[Pack, ...]
    """The pack itself, then the variants."""
    area: dict[str, int] = field(default_factory=dict)
    """Code -> variant, of areas where something differs."""
    resident: dict[int, int] = field(default_factory=dict)
    """Key -> variant, of residents with overrides of their own."""
    problems: tuple[Problem, ...] = ()
    rules: tuple[dict[str, msgspec.Struct], ...] = ({},)
    """By variant: its rules that differ from the pack's."""

    def of(self, area: str, resident: int = 0) -> int:
        """The variant for a resident (key) of an area, or for the area itself."""
        own = self.resident.get(resident) if resident else None
        return self.area.get(area, 0) if own is None else own


class _Building:
    """Variants found so far, each once; those of `before` keep their numbers."""

    def __init__(self, pack: Pack, before: Variants | None) -> None:
        self.packs = [pack] if before is None else list(before.packs)
        self.rules: list[dict[str, msgspec.Struct]] = [{}] if before is None else list(before.rules)
        self.problems: list[Problem] = []
        self._known = {_key(rules): number for number, rules in enumerate(self.rules)}

    def changed(self, base: int, whose: str, changes: Changes) -> int:
        """The variant that `changes` make of variant `base`."""
        rules = dict(self.rules[base])
        for name, fields in sorted(changes.items()):
            before = rules.get(name) or rule_of(self.packs[0], name)
            try:
                if before is None:
                    raise InputError(f"rule {name}: there is no such rule, or it is the same for everybody")
                rules[name] = with_fields(name, before, fields)
            except InputError as error:
                self.problems.append(Problem(whose, name, str(error)))
            except (ValueError, TypeError, ArithmeticError, LookupError) as error:
                # A check that trips over what nobody thought of: as bad as what it was made to find.
                self.problems.append(Problem(whose, name, f"rule {name}: cannot be checked ({error!r})"))
        rules = {name: rule for name, rule in rules.items() if rule != rule_of(self.packs[0], name)}
        key = _key(rules)
        if key not in self._known:
            if len(self.packs) > MOST:
                self.problems.append(Problem(whose, ", ".join(sorted(changes)), f"more than {MOST} variants"))
                return base
            self._known[key] = len(self.packs)
            self.rules.append(rules)
            self.packs.append(with_rules(self.packs[0], rules))
        return self._known[key]


def _key(rules: Mapping[str, msgspec.Struct]) -> bytes:
    return msgspec.json.encode(sorted((name, msgspec.to_builtins(rule)) for name, rule in rules.items()))


def variants(
    pack: Pack, overrides: Sequence[Override], areas: Iterable[Area], before: Variants | None = None
) -> Variants:
    """What `overrides` make of `pack`. What cannot be followed is left out and among the `problems`.

    With what held `before`, variants keep their numbers, so that whoever has one and has not heard of the new ones is
    judged by what held for them; one that nobody has any more keeps its number until the next start.
    """
    building = _Building(pack, before)
    parent = {area.code: area.parent for area in areas}
    of_area: dict[str, Changes] = defaultdict(lambda: defaultdict(dict))
    of_resident: dict[int, Changes] = defaultdict(lambda: defaultdict(dict))
    whose = {}
    for override in overrides:
        if override.area is not None:
            of_area[override.area][override.rule][override.field] = override.value
        else:
            of_resident[override.resident_key][override.rule][override.field] = override.value
            whose[override.resident_key] = override
    found: dict[str, int] = {}

    def of(code: str | None) -> int:
        if code is None or code not in parent:
            return 0
        if code not in found:
            found[code] = 0  # a circle, which the database does not allow, would end here
            above = of(parent[code])
            changes = of_area.get(code)
            found[code] = building.changed(above, f"area {code}", changes) if changes else above
        return found[code]

    area = {code: variant for code in sorted(parent) if (variant := of(code))} if of_area else {}
    of_devices = {name for name in {o.rule for o in overrides if o.area is None} if _is_of_devices(pack, name)}
    for key, changes in of_resident.items():
        for name in sorted(of_devices & changes.keys()):
            del changes[name]
            text = f"rule {name}: expected an area, for it is about devices, whoever has them"
            building.problems.append(Problem(whose[key].whose, name, text))
    resident = {
        key: building.changed(area.get(whose[key].resident_area or "", 0), whose[key].whose, changes)
        for key, changes in sorted(of_resident.items())
    }
    return Variants(tuple(building.packs), area, resident, tuple(building.problems), tuple(building.rules))


def problems(pack: Pack, overrides: Sequence[Override], areas: Iterable[Area]) -> list[tuple[str, str, str]]:
    """What is wrong with `overrides`: (whose, rule, what was expected)."""
    return [(whose, rule, text) for whose, rule, text in variants(pack, overrides, areas).problems]


def rule_of(pack: Pack, name: str) -> Strict | None:
    """The rule called `limit.heart_rate`, `silence`, …; None: there is none that may differ."""
    section, _, own = name.partition(".")
    if section == "limit":
        return pack.limit.get(own)
    if name == "silence":
        return pack.silence
    return pack.rules.get(section, {}).get(own or section)


def _is_of_devices(pack: Pack, name: str) -> bool:
    section, _, own = name.partition(".")
    rule = rule_of(pack, name)
    if rule is None:
        return False
    if isinstance(rule, SilenceRule):
        return True
    scope = rule.scope if isinstance(rule, LimitRule) else SECTIONS[section].operator(own, rule).scope
    return scope == "device"


def rule_names(pack: Pack) -> list[str]:
    """The rules that may differ, in the order of the pack."""
    names = [f"limit.{name}" for name in pack.limit] + (["silence"] if pack.silence else [])
    for section, rules in pack.rules.items():
        names += [section if SECTIONS[section].single else f"{section}.{name}" for name in rules]
    return names


def with_rules(pack: Pack, rules: Mapping[str, msgspec.Struct]) -> Pack:
    """`pack` with these rules in the place of its own."""
    limit, silence = dict(pack.limit), pack.silence
    others = {section: dict(own) for section, own in pack.rules.items()}
    for name, rule in rules.items():
        section, _, own = name.partition(".")
        if isinstance(rule, LimitRule):
            limit[own] = rule
        elif isinstance(rule, SilenceRule):
            silence = rule
        elif isinstance(rule, Strict):
            others[section][own or section] = rule
    return replace(pack, limit=limit, silence=silence, rules=others)


def with_fields(name: str, rule: msgspec.Struct, fields: Mapping[str, Any]) -> Strict:
    """`rule` with other values in `fields`, checked as when a pack is loaded.

    Raises:
        InputError: names the rule, the field and what was expected.
    """
    raw = _plain(rule)
    for path, value in sorted(fields.items()):
        _set(name, raw, path, value)
    kind = type(rule)
    assert issubclass(kind, Strict)
    changed = convert(name, raw, kind)
    for fixed in FIXED & set(kind.__struct_fields__):
        if getattr(changed, fixed) != getattr(rule, fixed):
            raise wrong(name, fixed, "expected what the pack says, for it is the same for everybody", raw[fixed])
    _check(name, changed, rule)
    return changed


def flat(rule: msgspec.Struct) -> dict[str, Any]:
    """Every field of `rule` by the path that `with_fields` takes."""

    def walk(path: str, at: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(at, dict):
            for name, value in at.items():
                yield from walk(f"{path}.{name}" if path else name, value)
        elif isinstance(at, list) and at and isinstance(at[0], dict):
            for index, value in enumerate(at):
                yield from walk(f"{path}.{_called(value) or index}", value)
        else:
            yield path, at

    return dict(walk("", _plain(rule)))


def _plain(rule: msgspec.Struct) -> Any:
    return msgspec.json.decode(msgspec.json.encode(rule))


def _check(name: str, rule: Strict, before: msgspec.Struct) -> None:
    if isinstance(rule, LimitRule):
        check_limit(name, rule)
        known = (
            {(reading.metric, reading.side) for reading in before.reading} if isinstance(before, LimitRule) else set()
        )
        for index, reading in enumerate(rule.reading):
            if (reading.metric, reading.side) not in known:
                raise wrong(name, f"reading[{index}]", "expected one of the pack's", f"{reading.metric}:{reading.side}")
    elif isinstance(rule, SilenceRule):
        check_silence(name, rule)
        if isinstance(before, SilenceRule) and rule != replace(before, intervals=rule.intervals, floor_s=rule.floor_s):
            raise InputError(f"rule {name}: expected intervals or floor_s, for the rest is the same for everybody")
    else:
        section: Section = SECTIONS[name.partition(".")[0]]
        section.check(name, rule)


def _set(name: str, raw: Any, path: str, value: Any) -> None:
    """Put `value` where `path` leads: members by name; elements of a list by number, or by what tells them apart."""
    *way, last = path.split(".")
    at = raw
    for step in way:
        at = at[_member(name, path, at, step)]
    member = _member(name, path, at, last)
    if last in FIXED:
        raise InputError(f"rule {name}, field {path}: expected a field that may differ, not what the rule is")
    at[member] = value


def _member(name: str, path: str, at: Any, step: str) -> Any:
    if isinstance(at, dict):
        if step not in at:
            raise InputError(f"rule {name}, field {path}: {step}: expected one of {', '.join(at)}")
        return step
    if isinstance(at, list):
        called = {_called(element): index for index, element in enumerate(at)}
        called |= {str(index): index for index in range(len(at))}
        if step not in called:
            expected = ", ".join(label for label in called if label)
            raise InputError(f"rule {name}, field {path}: {step}: expected one of {expected}")
        return called[step]
    raise InputError(f"rule {name}, field {path}: {step}: expected the end of the path")


def _called(element: Any) -> str:
    """`heart_rate:high` for a reading, `urgent` for a band."""
    if isinstance(element, dict):
        if "metric" in element and "side" in element:
            return f"{element['metric']}:{element['side']}"
        return str(element.get("severity") or element.get("name") or "")
    return ""
