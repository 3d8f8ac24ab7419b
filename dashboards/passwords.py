"""Operators' passwords: argon2id with the library's own current parameters, and new ones where one is needed."""

import secrets

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST = 10
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Nothing that is mistaken for something else when read aloud."""
_hasher = PasswordHasher(type=Type.ID)
_nobody = _hasher.hash(secrets.token_urlsafe())


def hash_password(password: str) -> str:
    """The text `operator.password_hash` holds; takes tens of milliseconds and 64 MiB."""
    return _hasher.hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Whether it is the password; takes as long where there is no such operator (`stored` None)."""
    try:
        _hasher.verify(_nobody if stored is None else stored, password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def generate_password() -> str:
    """Four groups of four: about 79 bits."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(4))
