"""Where the broker is and who we are to it: HOMECARE_MQTT_URL taken apart."""

import ssl
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from homecare.errors import SettingsError


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """`str()` of it is fit for a log: no password, no user."""

    host: str
    port: int
    user: str | None
    password: bytes | None
    tls: ssl.SSLContext | None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"BrokerAddress({self})"


def parse_broker_url(url: str, ca_file: str = "") -> BrokerAddress:
    """`mqtt://user:password@host:1883` or `mqtts://…:8883`, user and password percent-encoded.

    Raises:
        SettingsError: the URL or the CA file cannot be used; neither is shown.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise SettingsError("HOMECARE_MQTT_URL", "must look like mqtt://user:password@host:1883") from None
    if parts.scheme not in ("mqtt", "mqtts") or not host:
        raise SettingsError("HOMECARE_MQTT_URL", "must look like mqtt://user:password@host:1883 or mqtts://…")
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password).encode()
    tls = _tls(ca_file) if parts.scheme == "mqtts" else None
    return BrokerAddress(host, port or (8883 if tls else 1883), user, password, tls)


def _tls(ca_file: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise SettingsError(
            "HOMECARE_MQTT_CA_FILE", f"cannot be used: {error.strerror or 'not a certificate'}"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
