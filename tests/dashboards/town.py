"""A plainly invented county with two villages, and the ways the tests make things happen in it: SQL, as the services would."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from dashboards.passwords import hash_password

PASSWORD = "a long enough password"
COUNTY, TOWNSHIP, VILLAGE_A, VILLAGE_B = "990100", "990101", "99010101", "99010102"
TEXTS = {
    "fall": ("设备检测到跌倒", "The device detected a fall"),
    "sos": ("按下了紧急按钮", "The emergency button was pressed"),
    "vital": ("收缩压 182 mmHg，高于 160", "Systolic pressure 182 mmHg, above 160"),
    "battery": ("电量 9 %，低于 15 %", "Battery 9 %, below 15 %"),
    "silence": ("设备超过三个周期没有消息", "No message for three intervals"),
}
OPERATORS = {
    "li": (COUNTY, "operator", "zh"),
    "wang": (VILLAGE_A, "operator", "zh"),
    "bo": (VILLAGE_B, "operator", "en"),
    "audit": (COUNTY, "auditor", "en"),
}


@cache
def hashed() -> str:
    return hash_password(PASSWORD)


@dataclass
class Town:
    """What the tests know of the directory, and a connection to make things happen."""

    db: psycopg.Connection[Any]
    url: str

    def execute(self, sql: str, *parameters: object) -> list[Any]:
        cursor = self.db.execute(sql.encode(), parameters)
        return cursor.fetchall() if cursor.description else []

    def one(self, sql: str, *parameters: object) -> Any:
        rows = self.execute(sql, *parameters)
        return rows[0][0] if rows else None

    def build(self) -> None:
        """Areas, people, devices, operators."""
        for code, parent, level, zh, en in (
            (COUNTY, None, "county", "示例县", "Sample County"),
            (TOWNSHIP, COUNTY, "township", "示例镇", "Sample Township"),
            (VILLAGE_A, TOWNSHIP, "village", "甲村", "Village A"),
            (VILLAGE_B, TOWNSHIP, "village", "乙村", "Village B"),
        ):
            self.execute(
                "insert into area (code, parent, level, name_zh, name_en) values (%s, %s, %s, %s, %s)",
                code, parent, level, zh, en,
            )  # fmt: skip
        for number, area in ((1, VILLAGE_A), (2, VILLAGE_B)):
            letter = "甲乙"[number - 1]
            self.execute(
                "insert into resident (id, card, area, name, birth_date, sex, phone, address, lat, lon, conditions)"
                " values (%s, %s, %s, %s, '1941-03-05', 'f', %s, %s, 26.59, 104.83, array['高血压'])",
                f"R-{number}", f"CARD{number}", area, f"示例·{letter}一", f"010-0000000{number}", f"示例路{number}号",
            )  # fmt: skip
            self.execute(
                "insert into device (id, area, kind, model) values (%s, %s, 'handset', 'Sample 1')", f"H-{number}", area
            )
            self.execute(
                "insert into wearing (device, resident, since) select d.key, r.key, now() - interval '30 days'"
                " from device d, resident r where d.id = %s and r.id = %s",
                f"H-{number}", f"R-{number}",
            )  # fmt: skip
            for rank, (role, who) in enumerate((("family", "女儿"), ("neighbour", "邻居")), 1):
                contact = f"C-{number}{rank}"
                self.execute(
                    "insert into contact (id, name, role, area, phone) values (%s, %s, %s, %s, '010-11111111')",
                    contact, f"示例·{letter}{who}", role, area,
                )  # fmt: skip
                self.execute(
                    "insert into channel (contact, rank, kind, address, secret) values (%s, 1, 'webhook', %s, 'sealed')",
                    contact, f"https://contact{number}{rank}.invalid/hook",
                )  # fmt: skip
                self.execute(
                    "insert into resident_contact (resident, contact, rank, relation)"
                    " select key, %s, %s, %s from resident where id = %s",
                    contact, rank, who, f"R-{number}",
                )  # fmt: skip
        for login, (area, role, language) in OPERATORS.items():
            self.execute(
                "insert into operator (login, name, role, area, language, password_hash) values (%s, %s, %s, %s, %s, %s)",
                login, f"示例值班员 {login}", role, area, language, hashed(),
            )  # fmt: skip
        self.execute("insert into policy (id, area) values ('P-1', %s)", COUNTY)
        for step, delay in ((1, 0), (2, 60)):
            self.execute("insert into policy_step (policy, step, delay_s) values ('P-1', %s, %s)", step, delay)
            self.execute(
                "insert into step_target (policy, step, n, contact_rank) values ('P-1', %s, 1, %s)", step, step
            )
        self.execute("insert into step_target (policy, step, n, operators) values ('P-1', 1, 2, true)")

    def alert(self, device: str = "H-1", kind: str = "fall", severity: str = "critical", ago_s: float = 20) -> UUID:
        """A trigger of a registered device becomes an alert, as the alerts process does it; its first step is taken."""
        trigger = self.one(
            "insert into trigger (key, at, rule, version, kind, severity, state, device, device_id, resident, area, evidence, zh, en)"
            " select gen_random_uuid()::text, now() - make_interval(secs => %s), %s, 1, %s, %s, 'raised', d.key, d.id, w.resident,"
            "   d.area, %s, %s, %s"
            " from device d left join wearing w on w.device = d.key where d.id = %s returning id",
            ago_s, kind, kind, severity, Jsonb({"confidence": 0.93}), *TEXTS.get(kind, TEXTS["fall"]), device,
        )  # fmt: skip
        alert: UUID = self.one("select alert_id from alert_raise(%s)", trigger)
        self.take_step(alert)
        return alert

    def take_step(self, alert: UUID) -> None:
        """The first step: the first contact is notified, the operators' console too."""
        self.execute(
            "update escalation set policy = 'P-1', step = 1, next_at = now() + interval '60 s' where alert = %s", alert
        )
        self.execute(
            "insert into notification (alert, type, step, channel_kind, channel, contact)"
            " select a.id, 'alert.opened', 1, 'webhook', h.id, rc.contact from alert a"
            " join resident_contact rc on rc.resident = a.resident and rc.rank = 1 join channel h on h.contact = rc.contact"
            " where a.id = %s",
            alert,
        )
        self.execute(
            "insert into notification (alert, type, step, channel_kind, area) select id, 'alert.opened', 1, 'console', area"
            " from alert where id = %s",
            alert,
        )
        self.log(alert, "escalation.step", step=1)

    def log(self, alert: UUID, action: str, **detail: object) -> int:
        number: int = self.one(
            "insert into log (alert, actor, action, detail) values (%s, 'system', %s, %s) returning id",
            alert, action, Jsonb(detail),
        )  # fmt: skip
        return number

    def sample(self, device: str, at: datetime, **values: float) -> None:
        """One sample of the wearer."""
        names = ", ".join(values)
        self.execute(
            f"insert into sample (ts, received, device, resident, boot, seq, part, flags, {names})"
            f" select %s, %s, d.key, w.resident, 1, (select count(*) from sample), 0, 0, {', '.join(['%s'] * len(values))}"
            " from device d left join wearing w on w.device = d.key where d.id = %s",
            at, at, *values.values(), device,
        )  # fmt: skip
        known = {name: f"{name}_at" for name in values if name not in ("lat", "lon", "accuracy")}
        known |= {"lat": "position_at"} if "lat" in values else {}
        changes = "".join(f", {at} = excluded.{at}" for at in known.values())
        changes += "".join(f", {name} = excluded.{name}" for name in values)
        self.execute(
            f"insert into latest (device, resident, ts, received, {names}, {', '.join(known.values())})"
            f" select d.key, coalesce(w.resident, 0), %s, %s, {', '.join(['%s'] * (len(values) + len(known)))}"
            " from device d left join wearing w on w.device = d.key where d.id = %s"
            f" on conflict (device, resident) do update set ts = excluded.ts, received = excluded.received{changes}",
            at, at, *values.values(), *([at] * len(known)), device,
        )  # fmt: skip

    def roll_up(self) -> None:
        """Every hour that has samples and is over, as ingest does it."""
        self.execute(
            "select rollup_hour(hour, devices) from (select date_trunc('hour', ts) as hour, array_agg(distinct device) as devices"
            " from sample where ts < (select closed_until from rollup_state) group by 1) past"
        )

    def day(self, device: str = "H-1") -> None:
        """A day of readings every ten minutes, with a silence of three hours in it."""
        end = datetime.now(UTC)
        for n in range(144):
            at = end - timedelta(minutes=10 * (144 - n))
            if 60 <= n < 78:
                continue
            self.sample(
                device, at, heart_rate=70 + n % 9, spo2=96 + n % 3, battery=100 - n / 3,
                lat=26.59 + n / 40000, lon=104.83 + (n % 12) / 20000, accuracy=12,
            )  # fmt: skip
        for n, (systolic, diastolic) in enumerate(((152, 95), (148, 91))):
            self.sample(device, end - timedelta(hours=9 - 6 * n), systolic=systolic, diastolic=diastolic)
