"""Chinese and English: gettext catalogs read from their .po sources at the start, so that nothing compiled is kept.

The sources' strings are English; `zh` translates all of them, `en` only what English says in two forms.
"""

import gettext
import importlib.resources
import io
from functools import cache
from typing import Literal, cast

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
COOKIE = "homecare_language"


@cache
def catalog(language: Language) -> gettext.GNUTranslations:
    """The translations of one language."""
    source = importlib.resources.files("dashboards") / "locale" / language / "LC_MESSAGES" / "messages.po"
    compiled = io.BytesIO()
    with source.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def choose(*wishes: str | None) -> Language:
    """The first wish that is a language of ours; Chinese without one."""
    return cast("Language", next((wish for wish in wishes if wish in LANGUAGES), "zh"))


def mark(text: str) -> str:
    """Marks a text for the catalogs; whoever shows it translates it."""
    return text
