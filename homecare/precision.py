"""What people said the alerts of a rule were: a row of the database's function `rule_precision` (migration 0018)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuleOutcomes:
    """Alerts of one version of a rule, by what became of them; `hits` is all of them."""

    rule: str
    version: int
    kind: str
    hits: int
    true: int
    false: int
    technical: int
    drill: int
    cancelled: int
    undecided: int

    @property
    def precision(self) -> float | None:
        """Of those that people called true or false, the share that was true; None where there is none yet."""
        judged = self.true + self.false
        return self.true / judged if judged else None
