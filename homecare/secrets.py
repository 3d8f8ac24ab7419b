"""What HOMECARE_SECRET_KEY is for: encrypting webhook secrets at rest, and links that carry their own proof."""

import base64
import hashlib
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from itsdangerous import BadData, URLSafeTimedSerializer

from homecare.errors import SettingsError

LINK_DAYS = 7


def private_name(secret_key: str, name: str) -> str:
    """`name` with an end that only who has the key can tell; the same each time.

    For MQTT client ids: whoever connects with another's ends that one's session, and devices may choose theirs.
    """
    end = hashlib.blake2b(name.encode(), key=secret_key.encode()[:64], person=b"homecare-name", digest_size=8)
    return f"{name}-{end.hexdigest()}"


class Vault:
    """Encrypts and signs with keys derived from the one secret key."""

    def __init__(self, secret_key: str) -> None:
        key = hashlib.blake2b(secret_key.encode(), person=b"homecare-vault", digest_size=32).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))
        self._names = key
        self._links = URLSafeTimedSerializer(secret_key, salt="homecare-link")

    def seal(self, secret: str) -> bytes:
        """Ciphertext for the database."""
        return self._fernet.encrypt(secret.encode())

    def open(self, sealed: bytes) -> str:
        """The secret again; SettingsError where it was sealed with another key."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise SettingsError(
                "HOMECARE_SECRET_KEY", "is not the key this database's secrets were sealed with"
            ) from None

    def fingerprint(self, secret: str) -> str:
        """Sixteen characters that only who has the key can tell from `secret`; the same each time."""
        return hashlib.blake2b(secret.encode(), key=self._names, person=b"homecare-finger", digest_size=8).hexdigest()

    def sign_link(self, data: dict[str, Any]) -> str:
        """URL-safe text that holds `data` and its proof."""
        return self._links.dumps(data)

    def read_link(self, text: str) -> dict[str, Any] | None:
        """What `sign_link` was given, or None where it is forged or older than LINK_DAYS."""
        try:
            data = self._links.loads(text, max_age=LINK_DAYS * 86400)
        except BadData:
            return None
        return data if isinstance(data, dict) else None
