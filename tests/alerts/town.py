"""Many residents at once, each with contacts and their webhooks, and triggers for them as the rules write them."""

from collections.abc import Sequence
from uuid import UUID

from psycopg import AsyncConnection

from homecare.secrets import Vault
from tests.alerts.places import new_secret

AREA = "990101"
AREAS = """
    insert into area (code, parent, level, name_zh, name_en)
    values ('990100', null, 'county', '示例县', 'Sample County'), ('990101', '990100', 'village', '示例村', 'Sample Village');
    insert into operator (login, name, area, password_hash) values ('li', 'li', '990101', 'none'), ('wang', 'wang', '990100', 'none')
"""
PEOPLE = """
    insert into resident (id, area, name) select 'R-' || n, '990101', '示例·甲' || n from generate_series(%(first)s::int, %(last)s::int) n
"""
CONTACTS = """
    with given as (
        select n, rank, place, address
        from unnest(%(people)s::int[], %(ranks)s::int[], %(places)s::int[], %(addresses)s::text[]) as g (n, rank, place, address)),
    contacts as (
        insert into contact (id, name, role)
        select distinct 'C-' || n || '-' || rank, 'Sample ' || n, 'family' from given returning id),
    known as (
        insert into resident_contact (resident, contact, rank)
        select distinct r.key, 'C-' || n || '-' || rank, rank from given join resident r on r.id = 'R-' || n returning contact)
    insert into channel (contact, rank, kind, address, secret)
    select 'C-' || n || '-' || rank, place, 'webhook', address, %(secret)s from given
"""
TRIGGER = """
    insert into trigger (key, at, rule, version, kind, metric, severity, state, resident, area, evidence, zh, en)
    select k.key, clock_timestamp(), 'limit', 1, 'vital', 'spo2', 'critical', 'raised', r.key, '990101', '{}', '血氧低', 'Low oxygen'
    from unnest(%(keys)s::text[], %(people)s::text[]) as k (key, person) join resident r on r.id = k.person
"""


class Town:
    """Residents `R-n`, whose contact of a rank has webhooks in the order given."""

    def __init__(self, db: AsyncConnection, secret_key: str, *, people: int = 0, triggers: int = 0) -> None:
        self.db, self._vault = db, Vault(secret_key)
        self.people, self._triggers = people, triggers

    async def found(self) -> None:
        """Its areas and operators."""
        await self.db.execute(AREAS)

    async def settle(self, homes: Sequence[Sequence[Sequence[str]]]) -> list[str]:
        """New residents: for each, for each rank, the webhooks' addresses. Their ids."""
        first = self.people + 1
        self.people += len(homes)
        await self.db.execute(PEOPLE, {"first": first, "last": self.people})
        rows = [
            (first + n, rank, place, address)
            for n, contacts in enumerate(homes)
            for rank, addresses in enumerate(contacts, 1)
            for place, address in enumerate(addresses, 1)
        ]
        people, ranks, places, addresses = (list(column) for column in zip(*rows, strict=True))
        values = {"people": people, "ranks": ranks, "places": places, "addresses": addresses}
        await self.db.execute(CONTACTS, {**values, "secret": self._vault.seal(new_secret())})
        return [f"R-{number}" for number in range(first, self.people + 1)]

    async def agree(self, *delays_s: float, ranks: int = 1, repeat_s: int = 3600) -> None:
        """The area's policy, whatever it was before: after each delay the next rank, round and round."""
        await self.db.execute("delete from policy")
        await self.db.execute("insert into policy (id, area, repeat_s) values ('p', '990100', %s)", [repeat_s])
        for number, delay_s in enumerate(delays_s, 1):
            values = {"step": number, "delay_s": delay_s, "rank": 1 + (number - 1) % ranks}
            await self.db.execute(
                "insert into policy_step (policy, step, delay_s) values ('p', %(step)s, %(delay_s)s)", values
            )
            await self.db.execute(
                "insert into step_target (policy, step, n, contact_rank) values ('p', %(step)s, 1, %(rank)s)", values
            )

    async def trigger(self, *people: str) -> list[str]:
        """A trigger for each, in one transaction, as a batch of the rules' is; their keys."""
        keys = [f"town:{self._triggers + n}" for n in range(len(people))]
        self._triggers += len(people)
        await self.db.execute(TRIGGER, {"keys": keys, "people": list(people)})
        return keys

    async def alert_of(self, person: str) -> UUID:
        """The latest alert of this resident."""
        query = "select a.id from alert a join resident r on r.key = a.resident where r.id = %s order by a.number desc limit 1"
        row = await (await self.db.execute(query, [person])).fetchone()
        assert row is not None
        return UUID(str(row[0]))
