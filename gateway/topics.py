"""The topics of the contract: who a message is from and what it is, by its topic alone."""

import re
from typing import Literal, NamedTuple, cast

Kind = Literal["telemetry", "event", "status", "reply", "ack", "command"]

AREA = "[A-Za-z0-9_-]{1,32}"
DEVICE = "[A-Za-z0-9_.:-]{1,64}"
_TOPIC = re.compile(rf"care/v1/({AREA})/({DEVICE})/(telemetry|event|status|reply|ack|command)(?:/([a-z0-9]{{1,16}}))?")
_LOOSE = re.compile(r"care/v1/([^/]*)/([^/]*)/(telemetry|event|status|reply)(?:/([^/]*))?")


class Topic(NamedTuple):
    """`care/v1/{area}/{device}/{kind}[/{dialect}]`; the dialect is empty for the contract's own payloads."""

    area: str
    device: str
    kind: Kind
    dialect: str = ""

    @property
    def route(self) -> str:
        """What picks the decoder: `telemetry`, `telemetry/senml`, …"""
        return f"{self.kind}/{self.dialect}" if self.dialect else self.kind


def parse_topic(text: str) -> Topic | None:
    """The parts of a topic of version 1, or None where it is none."""
    match = _TOPIC.fullmatch(text)
    return None if match is None else Topic(match[1], match[2], cast("Kind", match[3]), match[4] or "")


def parse_loosely(text: str) -> Topic | None:
    """The parts even where area or device break the contract's character set, cut to its lengths.

    For what must not be lost whoever sent it: an SOS is one whatever the device calls itself.
    """
    match = _LOOSE.fullmatch(text)
    return None if match is None else Topic(match[1][:32], match[2][:64], cast("Kind", match[3]), match[4] or "")


def format_topic(area: str, device: str, kind: Kind, dialect: str = "") -> str:
    """The topic's text. ValueError where area, device or dialect break the contract's character set."""
    text = f"care/v1/{area}/{device}/{Topic(area, device, kind, dialect).route}"
    if parse_topic(text) is None:
        raise ValueError(f"not a topic of the contract: {text!r}")
    return text
