"""The ledger: runs of numbers, whatever was acknowledged in between."""

from pathlib import Path

from simulators import ledger
from simulators.ledger import Account


def test_what_was_sent_and_acknowledged_comes_back_as_runs(tmp_path: Path) -> None:
    account = Account("d-1", "990101", 3)
    for seq in range(10):
        assert account.add() == seq
    for seq in (0, 1, 2, 4, 4, 5, 9):
        account.sent(seq)
    for seq in (0, 2, 9):
        account.acknowledged(seq)
    account.sent(0)
    ledger.write(tmp_path / "ledger", [account, Account("d-2", "990101", 1)])
    first, second = ledger.read(tmp_path / "ledger")
    assert first.sent == [(0, 2), (4, 5), (9, 9)]
    assert first.acknowledged == [(0, 0), (2, 2), (9, 9)]
    assert (first.boot, first.deliveries) == (3, 8)
    assert (second.sent, second.acknowledged, second.deliveries) == ([], [], 0)
