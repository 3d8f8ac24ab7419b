import pytest

from gateway.topics import Topic, format_topic, parse_loosely, parse_topic


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("care/v1/520201/H-1/telemetry", Topic("520201", "H-1", "telemetry")),
        ("care/v1/a_b-C/a:b.c-d_e/event", Topic("a_b-C", "a:b.c-d_e", "event")),
        ("care/v1/520201/H-1/telemetry/senml", Topic("520201", "H-1", "telemetry", "senml")),
        (f"care/v1/{'a' * 32}/{'d' * 64}/ack", Topic("a" * 32, "d" * 64, "ack")),
    ],
)
def test_topics_of_the_contract_are_parsed_and_formatted_alike(text: str, topic: Topic) -> None:
    assert parse_topic(text) == topic
    assert format_topic(topic.area, topic.device, topic.kind, topic.dialect) == text


@pytest.mark.parametrize(
    "text",
    [
        "care/v2/520201/H-1/telemetry",
        "care/v1/520201/H-1/telemetry\n",
        "care/v1/520201//telemetry",
        "care/v1/五/H-1/telemetry",
        "care/v1/520201/H 1/telemetry",
        f"care/v1/{'a' * 33}/H-1/telemetry",
        f"care/v1/520201/{'d' * 65}/telemetry",
        "care/v1/520201/H-1/gossip",
        "care/v1/520201/H-1/telemetry/senml/more",
        "traccar/positions",
        "",
    ],
)
def test_everything_else_is_no_topic(text: str) -> None:
    assert parse_topic(text) is None


@pytest.mark.parametrize(("area", "device"), [("5/2", "H-1"), ("520201", "#"), ("+", "H-1"), ("", "H-1")])
def test_a_topic_is_never_formatted_from_names_that_would_change_its_meaning(area: str, device: str) -> None:
    with pytest.raises(ValueError, match="not a topic"):
        format_topic(area, device, "ack")


def test_loose_parsing_cuts_names_to_what_the_contract_allows() -> None:
    assert parse_loosely(f"care/v1/{'五' * 40}/{'d' * 70}/event") == Topic("五" * 32, "d" * 64, "event")
