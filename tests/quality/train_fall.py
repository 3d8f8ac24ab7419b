"""`make train-fall`: makes the model of the fall rule (alerts/rules/fall_model.json) again, from WEDA-FALL alone."""

import sys

import msgspec

from alerts.rules.fall_model import FILE
from tests.bench.say import say
from tests.quality import DataMissing
from tests.quality.fall_data import weda
from tests.quality.fall_folds import FALL, lessons


def main() -> int:
    """Status 1 where the data is absent."""
    try:
        trials = weda()
    except DataMissing as missing:
        sys.stderr.write(f"{missing}\n")
        return 1
    learnt = lessons(trials)
    people = len({trial.subject for trial in trials})
    falls = sum(trial.fall for trial in trials)
    blows = int((learnt.what == FALL).sum())
    made = (
        f"WEDA-FALL wrist (Marques and Moreno 2023): {people} people, {falls} simulated falls, {len(trials) - falls} trials of "
        f"daily life; {blows} blows of falls and {int((learnt.what == 0).sum())} other impacts, each at several rates"
    )
    say(made)
    FILE.write_bytes(msgspec.json.encode(learnt.model(made)) + b"\n")
    say(f"{FILE.name}: {FILE.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
