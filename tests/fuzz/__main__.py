"""`python -m tests.fuzz SECONDS`: coverage-guided fuzzing of decoding and checks; build/fuzz keeps what it learns.

Status 0: nothing came out but what the contract names. What breaks it lies in build/fuzz/ as a file of its own.
"""

import hashlib
import importlib
import sys
from pathlib import Path
from typing import get_args

FOLDER = Path(__file__).parents[2] / "build/fuzz"
MOST_BYTES = 8192
"""Of an input: longer ones only make it slow. Sizes have tests of their own."""


def main() -> int:
    try:
        atheris = importlib.import_module("atheris")
    except ImportError as error:
        sys.stderr.write(f"not fuzzed: {error} (no wheel of it for this Python)\n")
        return 0
    with atheris.instrument_imports(include=["gateway", "homecare"]):
        from gateway.edge import Edge
        from homecare.messages import Inbound, RejectionReason
        from homecare.metrics import METRICS
        from tests.fuzz.seeds import TOPICS, dictionary, seeds
        from tests.gateway.village import NOW, inbound, registry, telemetry

    edge, reasons = Edge(registry()), set(get_args(RejectionReason))
    limits = [(metric.low, metric.high) for metric in METRICS]
    good = inbound(telemetry())

    def check(data: bytes) -> None:
        topic, payload = TOPICS[data[0] % len(TOPICS)] if data else TOPICS[0], data[1:]
        checked = edge.check([Inbound(topic, payload, NOW), good])
        assert checked.samples.seq[-1] == 7, "the good message behind it is gone"
        kept = (checked.windows, checked.events, checked.statuses, checked.replies, checked.rejections)
        somewhere = len(checked.samples) > 1 or any(kept) or (not payload and topic.endswith("/status"))
        assert somewhere, "it ended nowhere"
        found = [rejection.reason for rejection in checked.rejections]
        assert reasons.issuperset(found)
        assert len(found) == len(set(found)), "the same reason twice"
        for rejection in checked.rejections:
            assert rejection.message.payload == payload
            (rejection.detail + rejection.message.topic).encode()
        for values in checked.samples.values.tolist():
            for value, (low, high) in zip(values, limits, strict=True):
                assert value != value or low <= value <= high, "a reading beyond what is plausible"  # noqa: PLR0124  # NaN

    corpus = FOLDER / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in seeds():
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    words = FOLDER / "dictionary"
    words.write_text(dictionary(), "utf-8")
    options = [
        f"-dict={words}",
        f"-max_total_time={int(sys.argv[1])}",
        f"-max_len={MOST_BYTES}",
        f"-artifact_prefix={FOLDER}/",
    ]
    atheris.Setup([sys.argv[0], *options, "-print_final_stats=1", str(corpus)], check)
    atheris.Fuzz()  # ends the process
    return 0


if __name__ == "__main__":
    sys.exit(main())
