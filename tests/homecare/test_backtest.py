"""`homecare backtest`: a capture through the checks and the rules, on its own clock, the same every time."""

import base64
import gzip
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from homecare.commands import backtest
from homecare.errors import InputError

PROGRAM = Path(sys.executable).with_name("homecare")
START = 1_795_219_200_000
"""2026-11-21 00:00 UTC."""
MINUTE = 60_000
HOUR = 60 * MINUTE
Message = tuple[int, str, Any]


def telemetry(at: int, seq: int, device: str = "H-1", **members: Any) -> Message:
    """A message measured and received at `at` (ms after START)."""
    body = {"boot": 1, "seq": seq, "ts": START + at} | members
    return START + at, f"care/v1/520201/{device}/telemetry", body


def event(at: int, seq: int, name: str, device: str = "H-1", **members: Any) -> Message:
    body = {"boot": 1, "seq": seq, "ts": START + at, "event": name} | members
    return START + at, f"care/v1/520201/{device}/event", body


def write(path: Path, messages: list[Message]) -> Path:
    """As `homecare capture` writes them."""
    lines = [json.dumps({"at": at, "topic": topic, "payload": payload}) + "\n" for at, topic, payload in messages]
    content = "".join(lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


class Outcome:
    """What one run printed."""

    def __init__(self, out: bytes, told: bytes) -> None:
        self.out, self.told = out, told.decode()
        self.triggers: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]

    def brief(self) -> list[tuple[int, str, str]]:
        """(ms after START, rule, severity) of each trigger."""
        return [(each["at"] - START, each["rule"], each["severity"]) for each in self.triggers]


@pytest.fixture
def run(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> Any:
    """Run it on a file or on messages."""

    def run(capture: Path | list[Message], **options: Any) -> Outcome:
        path = capture if isinstance(capture, Path) else write(tmp_path / "capture.jsonl", capture)
        assert backtest.command(str(path), **options) == 0
        return Outcome(*capsysbinary.readouterr())

    return run


KIOSK = [
    telemetry(0, 1, "K-1", subject="R-000123", values={"systolic": 152, "diastolic": 95, "heart_rate": 80}),
    telemetry(5_000, 2, "K-1", subject="R-000124", values={"systolic": 185, "diastolic": 80}),
    event(6_000, 1, "sos", position={"lat": 26.5, "lon": 104.8}),
    event(11_000, 1, "sos", position={"lat": 26.5, "lon": 104.8}),
    telemetry(20_000, 2, values={"heart_rate": 140, "battery": 90}),
]
"""Two people at a kiosk; a handset whose SOS is sent again until it is answered."""


def test_lines_are_of_the_contract_and_the_same_every_time(tmp_path: Path) -> None:
    path = write(tmp_path / "capture.jsonl.gz", KIOSK)
    first, again = (subprocess.run([PROGRAM, "backtest", path], capture_output=True, check=True) for _ in range(2))
    assert first.stdout == again.stdout
    lines = [json.loads(line) for line in first.stdout.splitlines()]
    assert {tuple(line) for line in lines} == {
        ("at", "rule", "kind", "metric", "severity", "device", "subject", "evidence")
    }
    assert [tuple(line.values())[:-1] for line in lines] == [
        (START + 5_000, "blood_pressure", "vital", "systolic", "critical", "K-1", "R-000124"),
        (START + 6_000, "sos", "sos", None, "critical", "H-1", None),
        (START + 20_000, "heart_rate", "vital", "heart_rate", "critical", "H-1", None),
    ]
    assert lines[0]["evidence"]["readings"] == [
        {"metric": "systolic", "value": 185, "at": START + 5_000, "received": START + 5_000}
    ]
    assert first.stderr.decode().startswith("5 messages: 3 samples, 0 windows of acceleration, 2 events\n")


def test_it_says_the_same_in_whatever_order_within_the_lateness_and_however_often(run: Any) -> None:
    chance = random.Random(1)
    values = [chance.choice([80, 96, 99, 100, 112, 135, 60, 49, 39]) for _ in range(60)]
    messages = [
        (
            START + n * 20_000,
            f"care/v1/520201/H-{n % 3}/telemetry",
            telemetry(n * 20_000, n, values={"heart_rate": v})[2],
        )
        for n, v in enumerate(values)
    ]
    plain = run(messages).triggers
    late = [(at + chance.randrange(0, 280_000), topic, body) for at, topic, body in messages]
    again = [(at + 10_000, topic, body) for at, topic, body in late[::3]]
    shuffled = run(sorted([*late, *again], key=lambda message: message[0])).triggers
    vitals = [[each for each in said if each["kind"] == "vital"] for said in (plain, shuffled)]
    assert len(vitals[0]) > 10
    for said in vitals:
        for each in said:
            del each["evidence"]["readings"][0]["received"]
    assert vitals[0] == vitals[1]


def test_what_is_rejected_is_counted_by_reason_and_bad_lines_are_named(run: Any, tmp_path: Path) -> None:
    path = write(
        tmp_path / "capture.jsonl",
        [
            telemetry(0, 1, values={"heart_rate": 500, "spo2": 90}),
            telemetry(1000, 2, values={"heart_rate": "fast"}),
            (START, "care/v1/520201/H-1/telemetry", base64.b64encode(b"\xff").decode()),
        ],
    )
    with path.open("ab") as file:
        file.write(b'not json\n\n{"at":1,"topic":"x","payload":"not base64!"}\n{"at":-1,"topic":"x","payload":{}}\n')
    outcome = run(path)
    assert outcome.brief() == [(0, "spo2", "critical")]
    assert outcome.told.splitlines()[0].startswith("3 messages: 2 samples")
    assert "rejected: out_of_range 1\n" in outcome.told
    assert "rejected: not_a_number 1\n" in outcome.told
    assert "rejected: not_utf8 1\n" in outcome.told
    assert [text[:16] for text in outcome.told.splitlines()[-3:]] == [
        "left out: line 4",
        "left out: line 6",
        "left out: line 7",
    ]


def test_a_capture_that_breaks_off_is_read_as_far_as_it_goes(run: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "capture.jsonl.gz", KIOSK * 200)
    path.write_bytes(path.read_bytes()[:-20])
    outcome = run(path)
    assert "sos" in {each["kind"] for each in outcome.triggers}
    assert "left out: after line" in outcome.told


@pytest.mark.parametrize(("content", "said"), [(b"[1]\n", "not a capture; line 1"), (None, "No such file")])
def test_what_is_no_capture_is_wrong_use(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "capture.jsonl"
    if content is not None:
        path.write_bytes(content)
    done = subprocess.run([PROGRAM, "backtest", path], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


def minutes(*when: float, device: str = "H-1") -> list[Message]:
    return [telemetry(round(at * MINUTE), n, device, values={"steps": 1}) for n, at in enumerate(when)]


def test_who_is_silent_is_found_on_the_captures_clock_up_to_its_end(run: Any) -> None:
    # H-1 stops after a minute and speaks again after ten; H-2 goes on to the end, two minutes after H-1's last word.
    messages = sorted([*minutes(0, 1, 10), *minutes(*range(13), device="H-2")], key=lambda message: message[0])
    assert run(messages).brief() == [(4 * MINUTE, "silence", "warning")]


def test_a_silence_that_ends_within_one_batch_is_found(run: Any) -> None:
    others = [telemetry(n * 1000, n, "H-2", values={"steps": 1}) for n in range(240)]
    messages = sorted([*minutes(0, 185 / 60), *others], key=lambda message: message[0])
    assert run(messages).brief() == [(3 * MINUTE, "silence", "warning")]


def test_a_device_says_its_own_interval(run: Any) -> None:
    status = (START, "care/v1/520201/H-1/status", {"boot": 1, "state": "online", "interval": 600})
    messages = sorted([*minutes(0, 25, 60), *minutes(*range(61), device="H-2")], key=lambda message: message[0])
    assert [at for at, rule, _ in run([status, *messages]).brief() if rule == "silence"] == [55 * MINUTE]
    assert run(messages, interval=0).brief() == []


def test_rules_of_ones_own_are_tried(run: Any, tmp_path: Path) -> None:
    pack = Path(backtest.__file__).parents[2] / "alerts/rules/pack.toml"
    mine = tmp_path / "mine.toml"
    mine.write_text(
        pack.read_text("utf-8").replace('severity = "urgent", limit = 160', 'severity = "urgent", limit = 150')
    )
    assert [each["subject"] for each in run(KIOSK[:2], rules=str(mine)).triggers] == ["R-000123", "R-000124"]
    mine.write_text("[pack]\nlateness_s = 300\n[limit.x]\n")
    with pytest.raises(InputError, match=r"mine\.toml: rule limit\.x"):
        run(KIOSK, rules=str(mine))


DAYS = [
    telemetry(day * 24 * HOUR, day, "K-1", subject="R-1", values={"systolic": s})
    for day, s in enumerate([170, 120, 170, 120])
]


def test_against_what_people_noted(run: Any, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "subject,date,type\n"
        "R-1,2026-11-21 09:00:00,Blood pressure\n"  # found
        "R-1,2026-11-22,Blood pressure\n"  # missed
        "R-1,2026-11-21,Agitation\n"  # no rule says this
        "R-9,2026-11-21,Blood pressure\n"  # of somebody else
    )
    told = run(DAYS, interval=0, against=str(labels)).told.splitlines()
    assert told[1:] == [
        "Agitation: nothing was raised on 1 days that were noted",
        "Blood pressure: recall 0.500 (1 of 2 days), precision 0.500 (1 of 2 days), 0.5000 alerts per person and day"
        "; 1 days are not in the capture",
    ]


def test_a_day_is_one_of_the_peoples_own_zone(run: Any, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("subject,date,type\nR-1,2026-11-20T20:00:00,systolic\n")
    told = run(DAYS[:1], interval=0, against=str(labels), zone="America/Lima").told
    assert "systolic: recall 1.000 (1 of 1 days), precision 1.000 (1 of 1 days)" in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("who,date,type\n", "line 1: expected the columns"),
        ("subject,date,type\nR-1,tomorrow,Pulse\n", "line 2: date"),
        ("subject,date,type\nR-1,,Pulse\n", "line 2: expected subject, date and type"),
    ],
)
def test_labels_that_are_wrong_are_named(run: Any, tmp_path: Path, text: str, said: str) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(text)
    with pytest.raises(InputError, match=said):
        run(KIOSK, against=str(labels))
