"""How a channel's address is kept. Some addresses are as good as a password; those are sealed, and have a name to be shown by."""

import re
from typing import Final
from urllib.parse import urlsplit

from homecare.secrets import Vault

OPEN: Final = {
    "webhook": re.compile(r"https?://[^\s/]+\S*"),
    "email": re.compile(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+\.[^\s@<>,;\"]+"),
    "device": re.compile(r"[A-Za-z0-9_.:-]{1,64}(\?do=(ring|call))?"),
}
"""Kinds whose address holds no secret, and what it looks like. Every other kind's is a URL with tokens in it."""
URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
HIDDEN: Final = "\N{HORIZONTAL ELLIPSIS}"
EXPECTED: Final = {
    "webhook": "a URL like https://example.org/hook",
    "email": "an address like name@example.org",
    "device": "a device's id, with ?do=call if it is to call rather than ring",
}


def is_sealed(kind: str) -> bool:
    """Whether the address itself is kept as the channel's secret."""
    return kind not in OPEN


def problem(kind: str, address: str) -> str | None:
    """What was expected of an address of this kind, or None where it is right."""
    if HIDDEN in address:
        return "expected the whole URL with its tokens: this is only the name it is shown by"
    if OPEN.get(kind, URL).fullmatch(address):
        return None
    return f"expected {EXPECTED.get(kind, 'a URL with its tokens, like wecombot://key')}"


def shown_name(address: str, vault: Vault) -> str:
    """What stands for a sealed address: its scheme, and an end that is the same for the same address and tells nothing of it."""
    return f"{urlsplit(address).scheme}://{HIDDEN}{vault.fingerprint(address)}"
