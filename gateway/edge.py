"""From messages to what was kept of them: the topic says who and which decoder, the decoder puts it into the batch.

A dialect is a mapping from route to decoder (`native.NATIVE`): the route is what follows the device in the topic,
`telemetry` or `telemetry/senml`, or a whole topic outside the contract's own, whose decoder finds the device itself.
"""

from collections.abc import Mapping, Sequence

from gateway.draft import Draft, Reader
from gateway.lenient_json import clean
from gateway.native import NATIVE
from gateway.registry import Registry
from gateway.senml import SENML
from gateway.source import Directory, Source
from gateway.topics import Topic, parse_loosely, parse_topic
from gateway.traccar import TRACCAR
from homecare.checked import Checked
from homecare.messages import Inbound

MOST_TOPICS = 100_000
"""How many topics are remembered; at the bound all are forgotten and looked up again (4 us each, and 340 bytes kept)."""

Route = tuple[Source, Reader]
_NOBODY: Directory = Registry()


class Edge:
    """The checks of the contract, over whole batches."""

    def __init__(
        self, directory: Directory, dialects: Sequence[Mapping[str, Reader]] = (NATIVE, SENML, TRACCAR)
    ) -> None:
        self._directory = directory
        self._readers: dict[str, Reader] = {route: reader for dialect in dialects for route, reader in dialect.items()}
        self._routes: dict[str, Route] = {}
        self._version = directory.version

    def check(self, messages: Sequence[Inbound]) -> Checked:
        """Every message sorted into what happens to it next. Never raises, whatever the bytes."""
        if self._version != self._directory.version or len(self._routes) > MOST_TOPICS:
            self._routes.clear()
            self._version = self._directory.version
        routes = self._routes
        draft = Draft()
        for message in messages:
            source, read = routes.get(message.topic) or self._look_up(message.topic)
            read(message, source, draft)
        return draft.finish()

    def _look_up(self, text: str) -> Route:
        route = self._routes[text] = self._route(text)
        return route

    def _route(self, text: str) -> Route:
        if (topic := parse_topic(text)) is not None:
            source = Source(topic.area, topic.device, self._directory)
            reader = self._readers.get(topic.route)
            if reader is None:
                return source, _refuse_route
            # an event decides for itself: an SOS is one wherever it comes from
            return source, reader if source.refusal is None or topic.kind == "event" else _refuse
        if (reader := self._readers.get(text)) is not None:
            source = Source("", "", _NOBODY)  # the topic names nobody
            source.directory = self._directory
            return source, reader
        return self._route_loosely(parse_loosely(text) or Topic("", "", "telemetry"))

    def _route_loosely(self, topic: Topic) -> Route:
        source = Source(clean(topic.area), clean(topic.device), _NOBODY)
        reader = self._readers.get(topic.route)
        return source, reader if reader is not None and topic.kind == "event" else _refuse


def _refuse(message: Inbound, source: Source, draft: Draft) -> None:
    """The sender is not registered, or not in this area."""
    assert source.refusal is not None
    if source.refusal == "unknown_device":
        draft.meet(message, source)
    draft.refuse(message, source, source.refusal, source.why_not)


def _refuse_route(message: Inbound, source: Source, draft: Draft) -> None:
    draft.refuse(message, source, "bad_schema", "topic: no decoder reads this")
