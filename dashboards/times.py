"""Times as people read them: in their own zone and language, with the machine's time beside them for the scripts."""

from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, format_skeleton, get_timezone_name

from dashboards.language import Language

LOCALES: dict[Language, str] = {"zh": "zh_Hans_CN", "en": "en_GB"}


def clock_time(moment: datetime, zone: ZoneInfo, language: Language) -> str:
    """`03:07:21`."""
    return format_datetime(moment, "HH:mm:ss", tzinfo=zone, locale=LOCALES[language])


def day_and_time(moment: datetime, zone: ZoneInfo, language: Language) -> str:
    """`11月21日 03:07`, `21 Nov, 03:07`."""
    return (
        f"{day_only(moment, zone, language)} {format_datetime(moment, 'HH:mm', tzinfo=zone, locale=LOCALES[language])}"
    )


def day_only(moment: datetime, zone: ZoneInfo, language: Language) -> str:
    """`11月21日`, `21 Nov`."""
    return format_skeleton("MMMd", moment, tzinfo=zone, locale=LOCALES[language])


def zone_name(moment: datetime, zone: ZoneInfo, language: Language) -> str:
    """`中国标准时间`, `China Standard Time`."""
    return get_timezone_name(moment.astimezone(zone), locale=LOCALES[language])
