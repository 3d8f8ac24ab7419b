"""What came of it: the table that `make faults` prints, and the metrics of build/faults.json."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.faults import alerts_check
from tests.faults.stage import Verdict

NEVER = alerts_check.NEVER | frozenset(
    {
        "endpoints_wrong",
        "redirects_followed",
        "points_not_reached",
        "change_not_passed",
        "set_back_unseen",
        "steps_too_soon",
        "steps_after_answer",
        "answers_lost",
        "missing",
        "twice",
        "unknown",
        "wrong_exit_status",
        "redelivered_though_committed",
        "acknowledged_while_stopped",
        "acknowledged_while_cut",
        "poison_untold",
        "not_finished",
        "sos_lost",
        "sos_twice",
    }
)
"""Must be 0, in all repetitions together."""
AT_MOST: Mapping[str, float] = {
    "ended_within_s": 10,
    "recovered_within_s": 10,
    "resumed_within_s": 10,
    "outstanding_at_most": 20_000,
    **alerts_check.AT_MOST,
}
AT_LEAST: Mapping[str, float] = {"good_throughput": 0.9, "told": 1}
"""The worst repetition counts."""


@dataclass(slots=True)
class Report:
    """Of one run of all scenarios."""

    verdicts: dict[str, list[Verdict]] = field(default_factory=lambda: defaultdict(list))
    not_run: dict[str, str] = field(default_factory=dict)

    def add(self, scenario: str, verdict: Verdict) -> None:
        self.verdicts[scenario].append(verdict)

    def metrics(self) -> dict[str, float]:
        """`scenario_what` -> over all repetitions: how many of what must not be, the worst of what has a limit."""
        found: dict[str, float] = {}
        for scenario, verdicts in self.verdicts.items():
            for name, value in self._figures(verdicts).items():
                found[f"{scenario}_{name}"] = float(f"{value:.4g}")
        return found

    def all_kept(self) -> bool:
        """Whether every promise was kept."""
        return all(
            kept(name, value) is not False
            for verdicts in self.verdicts.values()
            for name, value in self._figures(verdicts).items()
        )

    def table(self) -> str:
        """A line for each scenario, and one for each of its figures beyond the usual."""
        lines = [
            f"{'scenario':22} {'runs':>5} {'acknowledged':>13} {'missing':>8} {'twice':>6} {'catch-up, worst':>16}"
        ]
        for scenario, verdicts in self.verdicts.items():
            figures = self._figures(verdicts)
            catch_up = f"{figures['catch_up_s']:.1f} s" if "catch_up_s" in figures else "—"
            counts = (
                f"{len(verdicts):5} {figures['acknowledged']:13,.0f} {figures['missing']:8.0f} {figures['twice']:6.0f}"
            )
            lines.append(f"{scenario:22} {counts} {catch_up:>16}{_verdict(figures, ('missing', 'twice'))}")
            for name, value in figures.items():
                if name not in ("runs", "sent", "acknowledged", "missing", "twice", "catch_up_s") and (
                    value or not kept(name, value)
                ):
                    lines.append(f"    {name:36} {value:12,.4g}{_verdict(figures, (name,))}")
        return "\n".join([*lines, *(f"{name:22} not run: {why}" for name, why in self.not_run.items())])

    def _figures(self, verdicts: list[Verdict]) -> dict[str, float]:
        figures: dict[str, float] = {"runs": len(verdicts)}
        for name in ("sent", "acknowledged", "missing", "twice", "unknown"):
            figures[name] = sum(getattr(verdict, name) for verdict in verdicts)
        for name in dict.fromkeys(name for verdict in verdicts for name in verdict.notes):
            values = [verdict.notes[name] for verdict in verdicts if name in verdict.notes]
            if name in NEVER:
                figures[name] = sum(values)
            elif name.startswith(
                "good_throughput"
            ):  # of all repetitions together: one alone is as noisy as the machine
                figures[name] = sum(values) / len(values)
            else:
                figures[name] = min(values) if name in AT_LEAST else max(values)
        return figures


def kept(name: str, value: float) -> bool | None:
    """Whether a promise is kept; None where nothing is promised."""
    if name in NEVER:
        return value == 0
    if name in AT_MOST:
        return value <= AT_MOST[name]
    return value >= AT_LEAST[name] if name in AT_LEAST else None


def _verdict(figures: Mapping[str, float], names: tuple[str, ...]) -> str:
    return "   BROKEN" if any(kept(name, figures[name]) is False for name in names) else ""
