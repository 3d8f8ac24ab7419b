"""Writing that does not give up: an unavailable database is waited for, and a message it refuses is singled out."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from homecare.checked import Checked
from homecare.errors import DatabaseUnavailable
from homecare.messages import Inbound
from homecare.tasks import retry
from homecare.triggers import Trigger
from ingest import measures
from ingest.rejections import refused_by_database
from ingest.repeats import Delivery, without
from ingest.store import Refused, Store, Written

log = structlog.get_logger()
T = TypeVar("T")


class Writing:
    """Every call returns only when all it was given is committed, in the quarantine if need be."""

    def __init__(self, check: Callable[[Sequence[Inbound]], Checked], store: Store) -> None:
        self._check = check
        self._store = store

    def forget(self) -> None:
        """Nothing is in hand now."""
        self._store.forget()

    async def repeats(self, checked: Checked) -> frozenset[Delivery]:
        """`Store.repeats`, waiting for the database as long as it takes."""
        return await self._waiting(lambda: self._store.repeats(checked))

    async def write(
        self, messages: Sequence[Inbound], checked: Checked, repeats: frozenset[Delivery], triggers: list[Trigger]
    ) -> None:
        """Commit `checked` and `triggers` together; `messages` and `repeats` are what `checked` was made of.

        Where the database refuses that, the triggers are committed first: a crash between the two would have them raised
        again, under the same keys; the other way round it would lose them.
        """
        try:
            await self._commit(checked, triggers, repeats)
        except Refused as refused:
            log.warning("batch_refused", messages=len(messages), triggers=len(triggers), problem=str(refused))
            await self._single_out_triggers(triggers)
            await self._single_out(messages, repeats)

    async def _single_out(self, messages: Sequence[Inbound], repeats: frozenset[Delivery]) -> None:
        """Halve until the message at fault is alone; it goes to the quarantine, all others are kept."""
        if not messages:
            return
        checked = without(self._check(messages), repeats)
        try:
            await self._commit(checked, [])
        except Refused as refused:
            if len(messages) > 1:
                half = len(messages) // 2
                await self._single_out(messages[:half], repeats)
                await self._single_out(messages[half:], repeats)
                return
            self._store.give_up(checked)
            rejection = refused_by_database(messages[0], str(refused))
            log.error("message_refused", topic=rejection.message.topic, problem=str(refused))
            await self._commit(Checked(rejections=[rejection]), [])

    async def _single_out_triggers(self, triggers: list[Trigger]) -> None:
        if not triggers:
            return
        try:
            await self._commit(Checked(), triggers)
        except Refused as refused:
            if len(triggers) > 1:
                half = len(triggers) // 2
                await self._single_out_triggers(triggers[:half])
                await self._single_out_triggers(triggers[half:])
                return
            measures.REFUSED_TRIGGERS.inc()
            log.error("trigger_refused", key=triggers[0].key, rule=triggers[0].rule, problem=str(refused))

    async def _commit(
        self, checked: Checked, triggers: list[Trigger], repeats: frozenset[Delivery] = frozenset()
    ) -> None:
        with measures.COMMIT_SECONDS.time():
            written = await self._waiting(lambda: self._store.write(checked, triggers, repeats))
        _count(checked, written)

    async def _waiting(self, attempt: Callable[[], Awaitable[T]]) -> T:
        async def counted() -> T:
            try:
                return await attempt()
            except DatabaseUnavailable:
                measures.RETRIES.inc()
                raise

        result: T = await retry(counted, what="database", on=DatabaseUnavailable)
        return result


def _count(checked: Checked, written: Written) -> None:
    measures.SAMPLES.inc(written.samples)
    measures.WINDOWS.inc(written.windows)
    measures.REPEATED.inc(written.repeated)
    measures.STRANGERS.inc(len(checked.strangers))
    for rejection in checked.rejections:
        measures.REJECTIONS.labels(rejection.reason).inc()
    for kind, state in written.triggers:
        measures.TRIGGERS.labels(kind, state).inc()
