"""Templates, one environment per language, with the filters pages share; every value is escaped."""

import importlib.resources
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from dashboards import times
from dashboards.evidence import Evidence
from dashboards.language import COOKIE, LANGUAGES, Language, catalog, choose
from dashboards.viewer import Viewer
from dashboards.words import VOCABULARY

UTC_ZONE = ZoneInfo("UTC")


class Templates:
    """Renders `dashboards/templates` for a viewer: their language, their zone."""

    def __init__(self) -> None:
        self._environments = {language: _environment(language) for language in LANGUAGES}

    def render(
        self,
        request: Request,
        template: str,
        *,
        viewer: Viewer | None = None,
        language: str | None = None,
        zone: ZoneInfo | None = None,
        status: int = 200,
        **context: Any,
    ) -> HTMLResponse:
        """A page. `language` and `zone` win over the viewer's (a contact has no login)."""
        spoken = choose(language, request.cookies.get(COOKIE), viewer.language if viewer else None)
        text = (
            self._environments[spoken]
            .get_template(template)
            .render(
                viewer=viewer,
                language=spoken,
                zone=zone or (viewer.zone if viewer else UTC_ZONE),
                path=request.url.path,
                now=datetime.now(UTC),
                **context,
            )
        )
        return HTMLResponse(text, status)

    def translate(self, request: Request, viewer: Viewer | None, text: str) -> str:
        """One text in the language of a page this request would get."""
        spoken = choose(request.cookies.get(COOKIE), viewer.language if viewer else None)
        return catalog(spoken).gettext(text)


def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=PackageLoader("dashboards", "templates"),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(catalog(language), newstyle=True)  # type: ignore[attr-defined]
    environment.filters |= {
        "clock": _clock,
        "day": _day,
        "day_only": _day_only,
        "date": _date,
        "zone_name": _zone_name,
        "facts": _facts,
    }
    environment.globals |= {
        "word": _word(language),
        "static": static_url,
        "since": _since,
        "until": _until,
        "spoken": lambda thing, name: getattr(thing, f"{name}_{language}"),
    }
    return environment


def _word(language: Language) -> Callable[[str, str | None], str]:
    translations = catalog(language)

    def word(group: str, key: str | None) -> str:
        """What people call `key`; itself where it has no name yet."""
        text = VOCABULARY[group].get(key or "")
        return translations.gettext(text) if text else (key or "")

    return word


def static_url(name: str) -> str:
    """The address of a static file; it changes with its content, so that browsers may keep it."""
    if name not in _VERSIONS:
        content = (importlib.resources.files("dashboards") / "static" / name).read_bytes()
        _VERSIONS[name] = sha256(content).hexdigest()[:10]
    return f"/static/{name}?v={_VERSIONS[name]}"


_VERSIONS: dict[str, str] = {}


@pass_context
def _clock(context: Context, moment: datetime) -> str:
    return times.clock_time(moment, context["zone"], context["language"])


@pass_context
def _day(context: Context, moment: datetime) -> str:
    return times.day_and_time(moment, context["zone"], context["language"])


@pass_context
def _day_only(context: Context, moment: datetime) -> str:
    return times.day_only(moment, context["zone"], context["language"])


@pass_context
def _date(context: Context, day: Any) -> str:
    return format_date(day, "long", locale=times.LOCALES[context["language"]])


@pass_context
def _zone_name(context: Context, moment: datetime) -> str:
    return times.zone_name(moment, context["zone"], context["language"])


@pass_context
def _facts(context: Context, evidence: Mapping[str, Any]) -> list[tuple[str, str]]:
    return list(Evidence(context["language"], context["zone"]).facts(evidence))


def _since(moment: datetime) -> Markup:
    """A duration that counts up on the page."""
    return _counting("since", moment)


def _until(moment: datetime) -> Markup:
    """A duration that counts down on the page."""
    return _counting("until", moment)


def _counting(direction: str, moment: datetime) -> Markup:
    seconds = abs((datetime.now(UTC) - moment).total_seconds())
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02}:{second:02}" if hours else f"{minute:02}:{second:02}"
    return Markup('<time class="counting" data-{}="{}">{}</time>').format(
        direction, int(moment.timestamp() * 1000), text
    )
