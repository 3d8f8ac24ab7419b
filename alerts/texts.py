"""A message in words, for every channel but the webhook: what, who, where, when, what to do, and the link; Chinese or English.

Pure: what is known goes in, text comes out.
"""

from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from alerts.messages import AlertMessage

Language = Literal["zh", "en"]
SEVERITIES: dict[str, dict[Language, str]] = {
    "critical": {"zh": "特急", "en": "CRITICAL"},
    "urgent": {"zh": "紧急", "en": "Urgent"},
    "warning": {"zh": "注意", "en": "Attention"},
    "info": {"zh": "提示", "en": "For your information"},
}
TYPES: dict[str, dict[Language, str]] = {
    "alert.opened": {"zh": "", "en": ""},
    "alert.escalated": {"zh": "仍无人处理", "en": "Nobody has answered yet"},
    "alert.acknowledged": {"zh": "已有人处理", "en": "Somebody is on it"},
    "alert.resolved": {"zh": "已结束", "en": "Closed"},
    "alert.cancelled": {"zh": "本人已取消", "en": "Taken back by the wearer"},
}
_SEE: dict[Language, str] = {
    "zh": "请先打电话；无人接听，请马上去看，或请附近的人去看。危及生命时请拨打120。然后点开链接，告诉大家您怎么办。",
    "en": "Call them. If nobody answers, go there or send somebody near. In danger of life call 120. Then open the link and say what you do.",
}
_ASK: dict[Language, str] = {
    "zh": "请联系本人，问问身体怎么样，并再测一次；不舒服请联系医生。",
    "en": "Ask how they feel and have it measured again; where they are unwell, call the doctor.",
}
_LOOK: dict[Language, str] = {
    "zh": "请问问本人是否安好，再看看设备：是否有电、开机、佩戴。",
    "en": "Ask whether they are well, then look at the device: charged, switched on, worn.",
}
_SEEK: dict[Language, str] = {
    "zh": "请联系本人；联系不上，请到链接里显示的位置附近寻找。",
    "en": "Call them; where you cannot reach them, look for them near the place that the link shows.",
}
_HOME: dict[Language, str] = {
    "zh": "请马上联系家里的人：先离开房间。着火请拨打119。",
    "en": "Call whoever is in the home: leave the room first. In case of fire call 119.",
}
_HELP: dict[Language, str] = {
    "zh": "对方请求帮助。请点开链接，说明您能不能去。",
    "en": "They ask for help with this. Open the link and say whether you can.",
}
_KNOW: dict[Language, str] = {"zh": "您不用再做什么。", "en": "You need do nothing more."}
TO_DO: dict[str, dict[Language, str]] = {
    **dict.fromkeys(("sos", "fall", "routine"), _SEE),
    **dict.fromkeys(("vital", "score", "change"), _ASK),
    **dict.fromkeys(("silence", "battery", "device", "outage"), _LOOK),
    **dict.fromkeys(("place", "wander"), _SEEK),
    "home": _HOME,
    "assist": _HELP,
}
LABELS: dict[str, dict[Language, str]] = {
    "who": {"zh": "谁", "en": "Who"},
    "what": {"zh": "何事", "en": "What"},
    "when": {"zh": "何时", "en": "When"},
    "where": {"zh": "何地", "en": "Where"},
    "to_do": {"zh": "怎么办", "en": "What to do"},
    "link": {"zh": "详情和回复", "en": "More, and your answer"},
}


class Facts(msgspec.Struct, frozen=True):
    """What words say beyond the webhook's body; `zone` is an IANA name. Columns of the database's `letter_facts`."""

    language: Language = "zh"
    zone: str = "Asia/Shanghai"
    area_zh: str | None = None
    area_en: str | None = None
    address: str | None = None
    phone: str | None = None


class Letter(msgspec.Struct, frozen=True):
    """`subject` is one line; as text: the subject, an empty line, the rest."""

    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.subject}\n\n{self.text}"

    @classmethod
    def parse(cls, body: bytes) -> "Letter":
        """From what `str` gave."""
        subject, _, text = body.decode().partition("\n\n")
        return cls(subject, text)


def write_alert(message: AlertMessage, facts: Facts) -> Letter:
    """The letter of an `alert.*` notification."""
    language = facts.language
    label = {name: words[language] for name, words in LABELS.items()}
    colon = "：" if language == "zh" else ": "
    reason = message.reason_zh if language == "zh" else message.reason_en
    who = message.resident[1] if message.resident else (message.device or "")
    open_ = message.type in ("alert.opened", "alert.escalated")
    head = " ".join(
        filter(None, (TYPES[message.type][language], SEVERITIES[message.severity][language] if open_ else ""))
    )
    lines = (
        ("who", " ".join(filter(None, (who, facts.phone)))),
        ("what", reason),
        ("when", _when(message, facts)),
        ("where", _where(message, facts)),
        ("to_do", (TO_DO[message.kind] if open_ else _KNOW)[language]),
        ("link", message.acknowledge_url),
    )
    subject = f"【{head}】{who}{colon}{reason}" if language == "zh" else f"[{head}] {who}: {reason}"
    return Letter(_one_line(subject), "\n".join(f"{label[name]}{colon}{text}" for name, text in lines if text))


def write_test(language: Language) -> Letter:
    """The letter of a `test` notification: no alert, no person."""
    if language == "zh":
        return Letter("测试消息", "这是一条测试消息，无需处理。")
    return Letter("Test", "This is a test. Nothing needs to be done.")


def _when(message: AlertMessage, facts: Facts) -> str:
    said = message.raised_at.astimezone(ZoneInfo(facts.zone)).strftime("%Y-%m-%d %H:%M:%S")
    minutes = int(message.delayed_s // 60)
    if not minutes:
        return said
    return said + (f"（消息晚到{minutes}分钟）" if facts.language == "zh" else f" (told {minutes} min late)")


def _where(message: AlertMessage, facts: Facts) -> str:
    parts = [facts.area_zh if facts.language == "zh" else facts.area_en, facts.address]
    if (position := message.position) is not None:
        at = position.at.astimezone(ZoneInfo(facts.zone)).strftime("%H:%M")
        about = "" if position.accuracy is None else f" ±{position.accuracy:.0f} m"
        parts.append(f"{position.lat:.5f}, {position.lon:.5f}{about} ({at})")
    return ("，" if facts.language == "zh" else ", ").join(filter(None, parts))


def _one_line(text: str) -> str:
    return " ".join(text.split())
