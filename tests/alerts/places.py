"""A small directory for the tests: one county with a township and two villages, and people in them."""

import base64
import secrets
from typing import Any

from psycopg import AsyncConnection

from homecare.secrets import Vault

SECRET_KEY = "a key for these tests alone, long enough"
VAULT = Vault(SECRET_KEY)


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class Directory:
    """Rows of the directory, written straight with SQL."""

    def __init__(self, db: AsyncConnection, secret_key: str = SECRET_KEY) -> None:
        self.db = db
        self.vault = Vault(secret_key)
        self.secrets: dict[int, str] = {}
        """By channel."""

    async def add_areas(self) -> None:
        for code, parent, level in (
            ("990100", None, "county"),
            ("990101", "990100", "township"),
            ("990102", "990101", "village"),
            ("990103", "990101", "village"),
        ):
            await self._run(
                "insert into area (code, parent, level, name_zh, name_en) values (%s, %s, %s, %s, %s)",
                code,
                parent,
                level,
                f"示例{code}",
                f"Sample {code}",
            )

    async def add_operator(self, login: str, area: str) -> None:
        await self._run(
            "insert into operator (login, name, area, password_hash) values (%s, %s, %s, 'none')", login, login, area
        )

    async def add_resident(self, number: int = 1, area: str = "990102") -> int:
        return int(
            await self._one(
                "insert into resident (id, area, name) values (%s, %s, %s) returning key",
                f"R-{number}",
                area,
                f"示例·甲{number}",
            )
        )

    async def add_device(
        self, name: str, area: str = "990102", kind: str = "handset", wearer: int | None = None
    ) -> int:
        key = int(
            await self._one("insert into device (id, area, kind) values (%s, %s, %s) returning key", name, area, kind)
        )
        if wearer is not None:
            await self._run("insert into wearing (device, resident) values (%s, %s)", key, wearer)
        return key

    async def add_contact(self, name: str, *addresses: str, resident: int | None = None, rank: int = 1) -> list[int]:
        """A contact with a webhook per address, the resident's of that rank; the channels' ids."""
        await self._run("insert into contact (id, name, role) values (%s, %s, 'family')", name, f"Sample {name}")
        if resident is not None:
            await self._run(
                "insert into resident_contact (resident, contact, rank) values (%s, %s, %s)", resident, name, rank
            )
        channels = []
        for place, address in enumerate(addresses, 1):
            secret = new_secret()
            channel = int(
                await self._one(
                    "insert into channel (contact, rank, kind, address, secret) values (%s, %s, 'webhook', %s, %s) returning id",
                    name,
                    place,
                    address,
                    self.vault.seal(secret),
                )
            )
            self.secrets[channel] = secret
            channels.append(channel)
        return channels

    async def add_policy(
        self,
        name: str,
        *steps: tuple[float, list[dict[str, Any]]],
        area: str | None = None,
        resident: int | None = None,
        repeat_s: int = 60,
    ) -> None:
        """Each step: (delay, targets), a target like {"contact_rank": 1}."""
        await self._run(
            "insert into policy (id, area, resident, repeat_s) values (%s, %s, %s, %s)", name, area, resident, repeat_s
        )
        for number, (delay_s, targets) in enumerate(steps, 1):
            await self._run(
                "insert into policy_step (policy, step, delay_s) values (%s, %s, %s)", name, number, delay_s
            )
            for n, target in enumerate(targets, 1):
                await self._run(
                    "insert into step_target (policy, step, n, contact, contact_rank, operators) values (%s, %s, %s, %s, %s, %s)",
                    name,
                    number,
                    n,
                    target.get("contact"),
                    target.get("contact_rank"),
                    target.get("operators", False),
                )

    async def _run(self, sql: str, *values: object) -> None:
        await self.db.execute(sql.encode(), values)

    async def _one(self, sql: str, *values: object) -> Any:
        row = await (await self.db.execute(sql.encode(), values)).fetchone()
        assert row is not None
        return row[0]
