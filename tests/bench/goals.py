"""What is measured, and the goal of each: the table that `make bench` prints and `build/bench.json` holds."""

from dataclasses import dataclass, field
from typing import Literal

import msgspec


@dataclass(frozen=True, slots=True)
class Goal:
    """Of one metric; `limit` is met from the better side, None: reported only."""

    unit: str
    limit: float | None = None
    better: Literal["more", "less"] = "more"

    def met(self, value: float) -> bool | None:
        """Whether `value` is good enough; None where nothing is asked."""
        if self.limit is None:
            return None
        return value >= self.limit if self.better == "more" else value <= self.limit

    def __str__(self) -> str:
        return "" if self.limit is None else f"{'≥' if self.better == 'more' else '≤'} {self.limit:,g}"


GOALS = {
    "ingest_msg_per_s": Goal("msg/s", 40_000),
    "ingest_vs_limit": Goal("x", 0.75),
    "ingest_vs_usual": Goal("x", 6),
    "ingest_vs_paho": Goal("x"),
    "ingest_vs_node_red": Goal("x", 2.4),
    "limit_msg_per_s": Goal("msg/s"),
    "usual_msg_per_s": Goal("msg/s"),
    "paho_msg_per_s": Goal("msg/s"),
    "node_red_msg_per_s": Goal("msg/s"),
    "cpu_us_per_msg": Goal("us", 20, "less"),
    "commit_p50_ms": Goal("ms", None, "less"),
    "commit_p99_ms": Goal("ms", 50, "less"),
    "sos_p50_ms_idle": Goal("ms", 15, "less"),
    "sos_p99_ms_flood": Goal("ms", 100, "less"),
    "samples_in_batches_msg_per_s": Goal("samples/s", 150_000),
    "mem_bytes_per_device": Goal("bytes", 1024, "less"),
    "cold_start_s": Goal("s", 30, "less"),
    "bytes_per_row": Goal("bytes", None, "less"),
    "shards_2_vs_1": Goal("x", 1.7),
    "rules_samples_per_s": Goal("samples/s", 400_000),
    "rules_samples_per_s_million": Goal("samples/s", 1_000_000),
    "rules_vs_scalar": Goal("x", 8),
    "rules_vs_bytewax": Goal("x", 10),
    "silence_sweep_ms": Goal("ms", 20, "less"),
    "silence_sweep_many_due_ms": Goal("ms", None, "less"),
    "rules_bytes_per_device": Goal("bytes", 1024, "less"),
    "trigger_to_first_post_p99_ms": Goal("ms", 100, "less"),
    "trigger_to_first_post_burst_p99_ms": Goal("ms", 5_000, "less"),
    "step_lateness_p99_ms": Goal("ms", 1_000, "less"),
    "posts_per_s": Goal("posts/s", 500),
    "posts_p99_ms": Goal("ms", None, "less"),
    "posts_p99_with_20_dead_endpoints_ratio": Goal("x", 1.2, "less"),
    "backtest_samples_per_s": Goal("samples/s", 200_000),
}


@dataclass(slots=True)
class Results:
    """What was measured in one run, and why what was not."""

    goals: dict[str, Goal] = field(default_factory=lambda: dict(GOALS))
    metrics: dict[str, float] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        """One of `goals`."""
        if name not in self.goals:
            raise KeyError(name)
        self.metrics[name] = float(f"{value:.4g}")

    def skip(self, reason: str, *names: str) -> None:
        """These cannot be measured here."""
        self.not_measured.update(dict.fromkeys(names, reason))

    def all_met(self) -> bool:
        """Whether no goal was missed of those that were measured."""
        return not any(self.goals[name].met(value) is False for name, value in self.metrics.items())

    def table(self) -> str:
        """Metric, result, goal, verdict: a line each, in the order of `goals`."""
        lines = [f"{'metric':40} {'result':>12} {'goal':>12}"]
        for name, goal in self.goals.items():
            if name in self.metrics:
                value = self.metrics[name]
                verdict = {True: "met", False: "MISSED", None: ""}[goal.met(value)]
                lines.append(f"{name:40} {value:12,.4g} {goal!s:>12}  {goal.unit:10} {verdict}".rstrip())
            elif name in self.not_measured:
                lines.append(f"{name:40} {'—':>12} {goal!s:>12}  not measured: {self.not_measured[name]}")
        return "\n".join(lines)

    def report(self) -> bytes:
        """JSON: the metrics, and why what was not measured."""
        parts = {"metrics": self.metrics, "not_measured": self.not_measured}
        return msgspec.json.format(msgspec.json.encode(parts), indent=2) + b"\n"
