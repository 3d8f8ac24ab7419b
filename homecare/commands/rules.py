"""`homecare rules show|set|unset|precision`: the rules as they hold for an area or a resident, and how right they turned out to be."""

import getpass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from homecare.commands.directory import database_url
from homecare.errors import InputError
from homecare.overrides import CheckOverrides

if TYPE_CHECKING:
    from alerts.rules.pack import Pack
    from homecare.overrides import Override
    from homecare.precision import RuleOutcomes

COLUMNS = "{:<32}{:>8}{:>8}{:>6}{:>7}{:>11}{:>7}{:>11}{:>6}{:>11}"
app = typer.Typer(no_args_is_help=True, help="The rules as they hold for an area or a resident.")

AreaOption = Annotated[str, typer.Option(help="Code of the area: it and all below it.")]
ResidentOption = Annotated[str, typer.Option(help="Id of the resident.")]
RuleArgument = Annotated[str, typer.Argument(help="Name of the rule, like limit.heart_rate.")]


def checker() -> CheckOverrides:
    """The check of overrides against the rule pack."""
    from alerts.rules.pack import load_pack
    from alerts.rules.variants import problems

    pack = load_pack()
    return lambda overrides, areas: problems(pack, overrides, areas)


@app.command()
def show(
    rule: Annotated[str, typer.Argument(help="Name of a rule, or its beginning; all of them if left out.")] = "",
    area: AreaOption = "",
    resident: ResidentOption = "",
) -> None:
    """Every field of the rules as it holds there, and who changed it. Texts are left out."""
    from alerts.rules import variants
    from alerts.rules.pack import load_pack
    from homecare.directory.rules import overrides_for

    pack = load_pack()
    names = [name for name in variants.rule_names(pack) if name.startswith(rule)]
    if not names:
        raise InputError(f"rule {rule}: expected one of {', '.join(variants.rule_names(pack))}")
    if not (area or resident):
        for name in names:
            _print(pack, name, [])
        return
    overrides, areas, home = overrides_for(database_url(), resident or None)
    if resident and home is None:
        raise InputError(f"resident {resident}: there is no such resident")
    key, code = home if home and resident else (0, area)
    parents = {each.code: each.parent for each in areas}
    if code not in parents:
        raise InputError(f"area {code}: there is no such area")
    found = variants.variants(pack, overrides, areas)
    own = found.packs[found.of(code, key)]
    above: set[str | None] = set()
    at: str | None = code
    while at is not None and at not in above:
        above.add(at)
        at = parents.get(at)
    ours = [o for o in overrides if (o.area is None and key and o.resident_key == key) or (o.area in above and o.area)]
    for name in names:
        _print(own, name, [override for override in ours if override.rule == name])
    for problem in found.problems:
        if problem.whose in {override.whose for override in ours}:
            print(f"NOT FOLLOWED, {problem.whose}: {problem.text}")


def _print(pack: "Pack", name: str, overrides: "list[Override]") -> None:
    from alerts.rules import variants

    rule = variants.rule_of(pack, name)
    if rule is None:
        return
    for path, value in variants.flat(rule).items():
        if path.rpartition(".")[2] in ("zh", "en", "cleared_zh", "cleared_en"):
            continue
        whose = sorted({o.whose for o in overrides if path == o.field or path.startswith(f"{o.field}.")})
        print(f"{name} {path} = {msgspec.json.encode(value).decode()}" + (f"  ({', '.join(whose)})" if whose else ""))


@app.command("set")
def set_(
    rule: RuleArgument,
    fields: Annotated[list[str], typer.Argument(help="FIELD=VALUE …, as `show` prints them; VALUE is JSON or a word.")],
    area: AreaOption = "",
    resident: ResidentOption = "",
    by: Annotated[str, typer.Option(help="Who wants it so; the user of this machine if left out.")] = "",
) -> None:
    """Let fields of a rule differ for an area or a resident. All together or none; running processes follow at once."""
    values = {}
    for field in fields:
        path, equals, value = field.partition("=")
        if not equals or not path:
            raise InputError(f"{field}: expected FIELD=VALUE, like reading.heart_rate:high.bands.warning.limit=120")
        values[path.strip()] = _value(value.strip())
        if values[path.strip()] is None:
            raise InputError(f"{field}: null is no value; `homecare rules unset` takes a change back")
    _change(rule, values, area, resident, by)


@app.command()
def unset(
    rule: RuleArgument,
    fields: Annotated[list[str], typer.Argument(help="FIELD …, as they were set.")],
    area: AreaOption = "",
    resident: ResidentOption = "",
) -> None:
    """Let fields of a rule hold again as they do for the area above."""
    _change(rule, dict.fromkeys(fields), area, resident, "")


def _change(rule: str, values: dict[str, Any], area: str, resident: str, by: str) -> None:
    from homecare.directory.entries import RuleOverride
    from homecare.directory.rules import change_overrides

    if bool(area) == bool(resident):
        raise InputError("expected exactly one of --area and --resident")
    entries = [
        RuleOverride(
            rule=rule,
            field=path,
            value=value,
            area=area or None,
            resident=resident or None,
            by=by or getpass.getuser(),
        )
        for path, value in values.items()
    ]
    outcomes = change_overrides(database_url(), entries, checker())
    for entry, outcome in zip(entries, outcomes, strict=True):
        print(f"{rule} {entry.field}: {outcome}")


@app.command()
def precision(
    area: AreaOption = "",
    since: Annotated[str, typer.Option(help="First day, like 2026-11-01 (UTC); 90 days back if left out.")] = "",
) -> None:
    """What people said the alerts of each rule were, by its versions. Precision: true, of true and false."""
    try:
        first = datetime.fromisoformat(since) if since else datetime.now(UTC) - timedelta(days=90)
    except ValueError:
        raise InputError(f"--since {since}: expected a day like 2026-11-01") from None
    found = _outcomes(area or None, first if first.tzinfo else first.replace(tzinfo=UTC))
    print(
        COLUMNS.format(
            "rule", "version", "alerts", "true", "false", "technical", "drill", "cancelled", "open", "precision"
        )
    )
    for one in found:
        share = "-" if one.precision is None else f"{one.precision:.0%}"
        figures = (one.hits, one.true, one.false, one.technical, one.drill, one.cancelled, one.undecided)
        print(COLUMNS.format(one.rule, one.version, *figures, share))


def _outcomes(area: str | None, since: datetime) -> "list[RuleOutcomes]":
    """InputError where there is no such area."""
    import psycopg
    from psycopg.rows import class_row

    from homecare.database import check_database, load_queries, unavailable
    from homecare.precision import RuleOutcomes

    url, sql = database_url(), load_queries("homecare.commands")
    check_database(url)
    with unavailable(), psycopg.connect(url, autocommit=True) as db:
        known = db.execute(sql["area_known"].encode(), {"area": area}).fetchone()
        if area is not None and known != (True,):
            raise InputError(f"area {area}: there is no such area")
        with db.cursor(row_factory=class_row(RuleOutcomes)) as cursor:
            return cursor.execute(sql["rule_precision"].encode(), {"area": area, "since": since}).fetchall()


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
