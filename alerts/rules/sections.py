"""A section of the rule pack: what every kind of rule has in common, and how a kind of rule says what its section is.

Whatever is wrong is told by the rule, the field and what was expected there.
"""

import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from alerts.rules.operator import Operator
from homecare.errors import InputError

Rule = TypeVar("Rule", bound=msgspec.Struct)


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section of the pack: a misspelt field is an error, not ignored."""


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the rule pack and the operator behind it. A pack without the table has no such rules."""

    name: str
    rule: type[Strict]
    """Rules of one kind: `[name.RULE]` tables of this shape."""
    check: Callable[[str, Any], None]
    """(full name of the rule, the rule): what its types do not say. Raises InputError (`wrong`, `check_text`)."""
    operator: Callable[[str, Any], Operator]
    """(name of the rule, the rule of the pack) -> the operator; one for each rule."""
    single: bool = False
    """There is only one rule of this kind, called as the section: `[name]`."""


def convert(rule: str, body: Any, to: type[Rule]) -> Rule:
    """The section `body` of a pack as a rule of the given kind. Raises InputError that names rule, field and problem."""
    try:
        return msgspec.convert(body, to)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        field = path.rstrip("`").lstrip(".")
        raise InputError(f"rule {rule}{f', field {field}' if field else ''}: {problem}") from None


def wrong(rule: str, field: str, expected: str, got: object) -> InputError:
    """What is wrong with a rule's field, and what was expected there."""
    return InputError(f"rule {rule}, field {field}: {expected}, got {got!r}")


def check_version(rule: str, version: int) -> None:
    """Versions count from 1."""
    if version < 1:
        raise wrong(rule, "version", "expected 1 or more", version)


def check_text(rule: str, field: str, template: str, allowed: frozenset[str]) -> None:
    """A template for `str.format` whose {fields} are all among `allowed`."""
    if not template.strip():
        raise wrong(rule, field, "expected a text", template)
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
        template.format_map(dict.fromkeys(allowed, ""))
    except (ValueError, KeyError, IndexError, AttributeError):
        names = {"?"}
    if names - allowed:
        raise wrong(rule, field, f"expected a text whose fields are among {{{'}, {'.join(sorted(allowed))}}}", template)
