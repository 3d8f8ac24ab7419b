"""Sequence: one event of a device and then another within a time, told because of what the two mean together.

Counted are only these two kinds of event: the second one is told if the one before it is a first, not too long ago, and
(a cancel) it takes back no other event than that. So of several firsts the last counts, and each of them once.
"""

from collections.abc import Sequence as Several
from typing import Any

import numpy as np
import numpy.typing as npt

from alerts.rules import texts
from alerts.rules.columns import Column, Columns, KeptInColumns
from alerts.rules.known import sample_name
from alerts.rules.operator import EVENT_CODE, EVENTS, Given, Scope, Subject
from alerts.rules.room import with_room
from alerts.rules.sections import Section, Strict, check_text, check_version, wrong
from homecare.samples import Samples
from homecare.triggers import Kind, Severity, Trigger

FIELDS = frozenset({"duration"})
Ints = npt.NDArray[np.int64]


class SequenceRule(Strict, frozen=True):
    """`then` within `within_s` of `first`, by the device's times."""

    version: int
    kind: Kind
    severity: Severity
    first: str
    then: str
    within_s: float
    wait_s: float
    zh: str
    en: str


def check_sequence(name: str, rule: SequenceRule) -> None:
    """What the types of `rule` do not say. Raises InputError."""
    check_version(name, rule.version)
    for field in ("first", "then"):
        if getattr(rule, field) not in EVENT_CODE:
            raise wrong(name, field, f"expected one of {', '.join(EVENTS)}", getattr(rule, field))
    if not 0 < rule.within_s <= 86_400:
        raise wrong(name, "within_s", "expected more than 0 and at most 86400 seconds", rule.within_s)
    if not 0 <= rule.wait_s <= 3600:
        raise wrong(name, "wait_s", "expected 0 to 3600 seconds", rule.wait_s)
    for field in ("zh", "en"):
        check_text(name, field, getattr(rule, field), FIELDS)


class Sequence(KeptInColumns):
    """One rule `[sequence.NAME]` over all devices."""

    section = "sequence"
    scope: Scope = "device"
    ordered = True
    columns = ()
    positions = False

    def __init__(self, name: str, rule: SequenceRule) -> None:
        self.name = name
        self._state = Columns(
            {
                "first_at": Column(np.int64, 0),  # 0: the last one was no first, or there was none
                "received": Column(np.int64, 0),
                "boot": Column(np.int32, 0),
                "seq": Column(np.int32, 0),
            }
        )
        self._variant = np.zeros(0, np.int16)
        self.tune([rule])

    @property
    def wait_ms(self) -> int:
        return round(1000 * self._rules[0].wait_s)

    @property
    def memory_ms(self) -> int:
        """As long as a first may wait for its second."""
        return max(round(1000 * rule.within_s) for rule in self._rules)

    def concerns(self, samples: Samples, event: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:  # noqa: ARG002
        return np.isin(event, self._events) if event.any() else np.zeros(len(event), np.bool_)

    def make_room(self, slots: int) -> None:
        self._state.make_room(slots)
        self._variant = with_room(self._variant, slots)

    def tune(self, rules: Several[SequenceRule]) -> None:
        self._rules = list(rules)
        self._first = np.array([EVENT_CODE[rule.first] for rule in rules], np.int8)
        self._then = np.array([EVENT_CODE[rule.then] for rule in rules], np.int8)
        self._within = np.array([round(1000 * rule.within_s) for rule in rules], np.int64)
        self._events = np.unique([self._first, self._then])

    def know(self, slots: Ints, subjects: Several[Subject], variant: npt.NDArray[np.int16]) -> None:  # noqa: ARG002
        self._variant[slots] = variant

    def sweep(self, until: int) -> list[Trigger]:  # noqa: ARG002
        """Nothing comes due."""
        return []

    def step(self, given: Given) -> list[Trigger]:
        variant = self._variant[given.slot]
        first, then = given.event == self._first[variant], given.event == self._then[variant]
        rows = np.flatnonzero(first | then)
        if not len(rows):
            return []
        samples, slot, first, then = given.samples, given.slot[rows], first[rows], then[rows]
        place, state = self._state.give(slot), self._state
        begins = np.append(True, slot[1:] != slot[:-1])
        before = np.where(begins, -1, np.arange(-1, len(rows) - 1))
        # What came before each: of this batch, or what is known of the slot.
        columns: dict[str, npt.NDArray[Any]] = {
            "first_at": samples.ts,
            "received": samples.received,
            "boot": samples.boot,
            "seq": samples.seq,
        }
        earlier = {name: np.where(begins, state[name][place], column[rows[before]]) for name, column in columns.items()}
        was_first = np.where(begins, state["first_at"][place] > 0, first[before])
        told = then & was_first & (samples.ts[rows] - earlier["first_at"] <= self._within[variant[rows]])
        if given.of is not None:
            # One that says which event it is about is about no other.
            of = given.of[rows]
            told &= (of < 0) | ((of == earlier["seq"]) & (samples.boot[rows] == earlier["boot"]))
        triggers = [
            self._trigger(given, int(rows[index]), {name: int(column[index]) for name, column in earlier.items()})
            for index in np.flatnonzero(told).tolist()
        ]
        last = np.flatnonzero(np.append(slot[1:] != slot[:-1], True))
        for name, column in columns.items():
            state[name][place[last]] = np.where(first[last], column[rows[last]], 0)
        return triggers

    def _trigger(self, given: Given, row: int, first: dict[str, int]) -> Trigger:
        samples = given.samples
        rule = self._rules[self._variant[given.slot[row]]]
        at, device, resident = int(samples.ts[row]), int(samples.device[row]), int(samples.resident[row])
        events = [
            {
                "event": rule.first,
                "at": first["first_at"],
                **{name: first[name] for name in ("received", "boot", "seq")},
            },
            {
                "event": rule.then,
                "at": at,
                "received": int(samples.received[row]),
                "boot": int(samples.boot[row]),
                "seq": int(samples.seq[row]),
            },
        ]
        after = at - first["first_at"]
        return Trigger(
            key=f"{self.name}:{resident}:{sample_name(given, row)}",
            at=at,
            rule=self.name,
            version=rule.version,
            kind=rule.kind,
            metric=None,
            severity=rule.severity,
            state="raised",
            device=device,
            resident=resident,
            evidence={"events": events, "after_ms": after, "within_ms": round(1000 * rule.within_s)},
            zh=rule.zh.format(duration=texts.duration(after, "zh")),
            en=rule.en.format(duration=texts.duration(after, "en")),
        )


SECTION = Section("sequence", SequenceRule, check_sequence, Sequence)
