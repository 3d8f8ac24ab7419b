"""The registry's columns answer as plain dictionaries would, whatever comes, changes and goes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.device_columns import DeviceColumns
from gateway.registry import Registry
from gateway.text_numbers import TextNumbers
from homecare.devices import RegisteredDevice, Wearing

TEXTS = st.text(max_size=3) | st.sampled_from(["R-1", "R-2", "甲", "\ud800", ""])
WEARINGS = st.lists(
    st.builds(Wearing, st.integers(1, 5), st.integers(-5, 5), st.none() | st.integers(6, 9)), max_size=3
).map(tuple)
DEVICES = st.builds(
    RegisteredDevice,
    key=st.integers(1, 9),
    id=st.sampled_from(["H-1", "H-2", "H-3", "K-1"]),
    area=st.sampled_from(["990101", "990102"]),
    kind=st.sampled_from(["handset", "kiosk"]),
    interval_s=st.sampled_from([0.5, 60.0]),
    wearings=WEARINGS,
    revoked=st.booleans(),
)
NAMES = st.sampled_from(["甲", "乙", "R-1", "R-2"])


@settings(max_examples=200)
@given(st.lists(st.tuples(TEXTS, st.none() | st.integers(0, 2**31 - 1)), max_size=150))
def test_texts_have_the_numbers_they_were_given_last(steps: list[tuple[str, int | None]]) -> None:
    texts, plain = TextNumbers(), dict[str, int]()
    for text, number in steps:
        if number is not None:
            texts.put(text, number)
            plain[text] = number
        elif (entry := texts.find(text)) is not None:
            texts.drop(entry)
            del plain[text]
        assert texts.get(text) == plain.get(text)
    assert {text: texts.get(text) for text, _ in steps} == {text: plain.get(text) for text, _ in steps}
    assert {texts.text(entry): texts.number(entry) for entry in texts.entries()} == plain
    assert len(texts) == len(plain)


def test_a_hundred_thousand_texts_are_found() -> None:
    texts = TextNumbers()
    for number in range(100_000):
        texts.put(f"R-{number:07}", number)
    assert all(texts.get(f"R-{number:07}") == number for number in range(100_000))
    assert texts.get("R-0100000") is None


@settings(max_examples=200)
@given(st.lists(DEVICES | st.sets(st.sampled_from(["H-1", "H-2", "H-3", "K-1"])), max_size=20))
def test_devices_are_as_they_were_last_told(steps: list[RegisteredDevice | set[str]]) -> None:
    columns, plain = DeviceColumns(), dict[str, RegisteredDevice]()
    for step in steps:
        if isinstance(step, set):
            assert columns.retain(step) == len(plain.keys() - step)
            plain = {name: device for name, device in plain.items() if name in step}
        else:
            assert columns.put(step) == (plain.get(step.id) != step)
            plain[step.id] = step
        assert {device.id: device for device in columns} == plain
        assert all(columns.get(name) == device for name, device in plain.items())
        assert columns.wearings == sum(len(device.wearings) for device in plain.values())
        assert len(columns) == len(plain)


@settings(max_examples=200)
@given(st.lists(st.dictionaries(st.integers(0, 4), st.tuples(NAMES, st.none() | NAMES), max_size=4), max_size=6))
def test_people_are_found_by_their_ids_and_cards_of_today(steps: list[dict[int, tuple[str, str | None]]]) -> None:
    registry, people = Registry(), dict[int, tuple[str, str | None]]()
    for step in steps:
        now = {**people, **step}
        ids, cards = [name for name, _ in now.values()], [card for _, card in now.values() if card]
        if len(ids) != len(set(ids)) or len(cards) != len(set(cards)):
            continue  # the directory would not have it
        people = now
        registry.update_subjects((key, *names) for key, names in step.items())
        by_card = {card: key for key, (_, card) in people.items() if card}
        by_id = {name: key for key, (name, _) in people.items()}
        for text in ("甲", "乙", "R-1", "R-2"):
            assert registry.subject(text) == (by_card | by_id).get(text)
        assert registry.size_with([], set()) == (0, 0, len(people))
