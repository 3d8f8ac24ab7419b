"""Up to when silence can be told."""

from ingest.hearing import SETTLING_MS, Hearing

START = 1_000_000


def settled() -> Hearing:
    hearing = Hearing()
    assert hearing.connected(START - SETTLING_MS, connected=True)
    return hearing


def test_nothing_can_be_told_without_a_broker_nor_at_once_with_one() -> None:
    hearing = Hearing()
    assert not hearing.connected(START, connected=False)
    assert hearing.complete_until(START) is None
    assert hearing.connected(START, connected=True)
    assert not hearing.connected(START + 1, connected=True)
    assert hearing.complete_until(START + SETTLING_MS - 1) is None
    assert hearing.complete_until(START + SETTLING_MS) == START + SETTLING_MS


def test_while_nothing_comes_all_is_heard() -> None:
    assert settled().complete_until(START + 9) == START + 9


def test_while_a_batch_is_under_way_all_is_heard_until_the_last_one_applied() -> None:
    hearing = settled()
    hearing.taken(START, full=False)
    assert hearing.complete_until(START + 1) is None
    hearing.applied()
    assert hearing.complete_until(START + 50_000) == START
    hearing.waiting()
    assert hearing.complete_until(START + 50_001) == START + 50_001


def test_after_a_full_batch_more_is_waiting() -> None:
    hearing = settled()
    hearing.taken(START, full=True)
    hearing.applied()
    hearing.waiting()
    assert hearing.complete_until(START + SETTLING_MS - 1) is None
    assert hearing.complete_until(START + SETTLING_MS) == START + SETTLING_MS


def test_lost_connection_is_noticed_and_its_return() -> None:
    hearing = settled()
    assert not hearing.connected(START, connected=False)
    assert hearing.complete_until(START) is None
    assert hearing.connected(START + 10, connected=True)
