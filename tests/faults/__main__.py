"""`python -m tests.faults [--only NAME …] [--times N] [--quick]`: breaks things, prints what it cost, writes build/faults.json."""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import msgspec

from homecare.logs import configure_logs
from tests.bench.say import say
from tests.faults.report import Report
from tests.faults.scenarios import SCENARIOS
from tests.faults.stage import Impossible, Machine, Plan, Verdict, open_machine
from tests.services.errors import ServiceMissing
from tests.services.inventory import given_database_url

OUTPUT = Path(__file__).parents[2] / "build/faults.json"
TIMES, LONG_TIMES = 20, 3
QUICK = Plan(rate=1000, seconds=4, outage_s=3, cut_s=3, alerts_outage_s=6, points=2)


def main() -> int:
    """Status 0 where nothing was lost, nothing twice and every promise kept; 1: not so; 2: it cannot run here."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=["alerts", *SCENARIOS], help="this alone; may be given again"
    )
    parser.add_argument("--times", type=int, help=f"repetitions; {TIMES}, or {LONG_TIMES} of what takes over 30 s")
    parser.add_argument("--rate", type=float, default=5000, help="messages a second")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments at which things break")
    parser.add_argument("--quick", action="store_true", help="once each, small and short")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where the figures go; build/faults.json")
    given = parser.parse_args()
    plan = QUICK if given.quick else Plan(rate=given.rate)
    times = given.times or (1 if given.quick else None)
    report = Report()
    configure_logs("console", "error", "faults")
    say(f"seed {given.seed}, {plan.rate:,.0f} messages a second")
    try:
        if given_database_url():
            raise ServiceMissing(
                "TimescaleDB", "a given server is not the tests' to kill: unset HOMECARE_TEST_DATABASE_URL"
            )
        with tempfile.TemporaryDirectory(prefix="homecare-faults-", ignore_cleanup_errors=True) as name:
            Path(name).chmod(0o755)
            with open_machine(Path(name)) as machine:
                for scenario in chosen(given.only):
                    try:
                        asyncio.run(repeat(machine, scenario, plan, times, given.seed, report))
                    except Impossible as impossible:
                        say(f"{scenario} is not possible here: {impossible}")
                        report.not_run[scenario] = str(impossible)
    except ServiceMissing as missing:
        sys.stderr.write(f"not run: {missing}\n")
        return 2
    given.output.parent.mkdir(exist_ok=True)
    given.output.write_bytes(msgspec.json.format(msgspec.json.encode({"metrics": report.metrics()}), indent=2) + b"\n")
    sys.stdout.write(report.table() + "\n")
    return 0 if report.all_kept() else 1


def chosen(only: list[str] | None) -> list[str]:
    """Names of scenarios; `alerts` stands for all of those."""
    wanted = only or list(SCENARIOS)
    return [name for name in SCENARIOS if name in wanted or ("alerts" in wanted and name.startswith("alerts_"))]


async def repeat(machine: Machine, name: str, plan: Plan, times: int | None, seed: int, report: Report) -> None:
    """One scenario, so many times on one stage."""
    scenario = SCENARIOS[name]
    many = times or (LONG_TIMES if scenario.long else TIMES)
    async with scenario.stage(machine, plan, Random(f"{seed} {name}")) as stage:
        for number in range(1, many + 1):
            try:
                verdict = await scenario.play(stage)
            except (AssertionError, TimeoutError) as failure:
                say(f"{name} {number}/{many} came to no end: {failure}\n{stage.log()}")
                report.add(name, Verdict(notes={"not_finished": 1}))
                return
            report.add(name, verdict)
            say(f"{name} {number}/{many}: {_words(verdict)}")


def _words(verdict: Verdict) -> str:
    notes = "".join(f", {name} {value:.4g}" for name, value in verdict.notes.items())
    counts = (
        f"{verdict.sent} sent, {verdict.acknowledged} acknowledged, {verdict.missing} missing, {verdict.twice} twice"
    )
    return f"{counts}{f', {verdict.unknown} never sent' if verdict.unknown else ''}{notes}"


if __name__ == "__main__":
    sys.exit(main())
