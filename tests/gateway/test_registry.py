from gateway.registry import Registry
from homecare.devices import RegisteredDevice, Wearing


def handset(**changes: object) -> RegisteredDevice:
    members: dict[str, object] = {"key": 1, "id": "H-1", "area": "990101", "kind": "handset", "interval_s": 60.0}
    return RegisteredDevice(**(members | changes))  # type: ignore[arg-type]


def test_only_what_differs_is_a_change() -> None:
    registry = Registry([handset()])
    version = registry.version
    assert registry.update([handset()]) == []
    assert registry.version == version
    worn = handset(wearings=(Wearing(11, 5),))
    assert registry.update([worn]) == [worn]
    assert registry.version > version
    assert registry.device("H-1") == worn


def test_a_revoked_device_is_not_registered_any_more() -> None:
    registry = Registry([handset(revoked=True)])
    assert registry.device("H-1") is None
    assert len(registry.devices()) == 1


def test_a_resident_is_found_by_id_and_by_the_card_of_today() -> None:
    registry = Registry()
    registry.update_subjects([(11, "R-1", "CARD-1"), (12, "R-2", None)])
    assert [registry.subject(text) for text in ("R-1", "CARD-1", "R-2", "", "R-3")] == [11, 11, 12, None, None]
    registry.update_subjects([(11, "R-1", "CARD-9")])
    assert [registry.subject(text) for text in ("CARD-1", "CARD-9")] == [None, 11]
    version = registry.version
    registry.update_subjects([(11, "R-1", "CARD-9")])
    assert registry.version == version


def test_a_card_does_not_take_another_persons_id() -> None:
    for residents in ([(11, "R-1", "R-2"), (12, "R-2", None)], [(12, "R-2", None), (11, "R-1", "R-2")]):
        registry = Registry()
        registry.update_subjects(residents)
        assert registry.subject("R-2") == 12


def test_what_was_deleted_is_forgotten() -> None:
    registry = Registry([handset(), handset(key=2, id="H-2")])
    registry.update_subjects([(11, "R-1", "CARD-1"), (12, "R-2", None)])
    registry.retain({"H-2"}, {12})
    assert registry.device("H-1") is None
    assert registry.device("H-2") is not None
    assert [registry.subject(text) for text in ("R-1", "CARD-1", "R-2")] == [None, None, 12]
