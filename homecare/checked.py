"""A batch after the checks: what was kept, sorted by what happens to it next, and what was not, with the reason."""

from dataclasses import dataclass, field

from homecare.messages import AccelerationWindow, Event, Inbound, Origin, Rejection, Reply, Status
from homecare.samples import Samples


@dataclass(frozen=True, slots=True)
class Stranger:
    """A message from a device that is not registered."""

    origin: Origin
    message: Inbound


@dataclass(slots=True)
class Checked:
    """Every message of a batch ends in at least one of these, whatever was in it."""

    samples: Samples = field(default_factory=lambda: Samples.empty(0))
    windows: list[AccelerationWindow] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    strangers: list[Stranger] = field(default_factory=list)
