"""Settings are environment variables named HOMECARE_*; a wrong one stops the program with one line that names it."""

import ipaddress
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from homecare.errors import SettingsError

PREFIX = "HOMECARE_"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Settings(BaseSettings):
    """Everything the processes read from their environment. Field `x` is the variable `HOMECARE_X`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    database_url: SecretStr
    """PostgreSQL connection URL or keyword string (libpq), TimescaleDB preferred."""
    mqtt_url: SecretStr
    """`mqtt://user:password@host:1883` or `mqtts://…:8883`."""
    public_url: str = "http://127.0.0.1:8000"
    """Where people reach the dashboard; the base of links sent to contacts."""
    secret_key: SecretStr
    """At least 32 characters; signs links and sessions, encrypts webhook secrets. Changing it invalidates both."""
    listen: str = ""
    """host:port of the process's HTTP; empty: 127.0.0.1 and the command's own port."""
    webhook_allow_networks: Annotated[list[Network], NoDecode] = []
    """Private networks (CIDR, comma-separated) that webhooks and apprise's services may be sent to; none by default."""
    webhook_allow_http: bool = False
    """Whether webhooks, and apprise's services, may go over plain http."""
    smtp_url: SecretStr = SecretStr("")
    """`smtps://user:password@host:465`, or `smtp://…:587` (STARTTLS); empty: no e-mail."""
    smtp_sender: str = Field(default="", validate_default=True)
    """The address that e-mail comes from."""
    smtp_ca_file: str = ""
    """CA certificate of the SMTP server; empty: the system's."""
    canary_s: float = 0
    """Seconds between two simulated SOS through the whole chain, 5 to 3600; 0: none. Alike for all alerts processes."""
    canary_listen: str = "127.0.0.1:8003"
    """IP address:port of this machine where the canary's posts come; of several alerts processes the one that presses listens."""
    heartbeat_url: SecretStr = SecretStr("")
    """Asked (GET) after each simulated SOS that arrived, so that its absence alarms outside; empty: none."""
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    instance: str = "1"
    """Tells processes of one kind apart; part of the MQTT client id. Letters, digits, - and _."""
    mqtt_receive_maximum: int = 20_000
    """How many QoS 1 messages may be in flight to one session; it holds at most twice as many, whatever the broker does."""
    mqtt_ca_file: str = ""
    """CA certificate for mqtts; empty: the system's."""
    retention_days: int = 0
    """Days that samples and acceleration are kept, 35 at least; 0: for ever. Roll-ups, events and alerts stay."""
    tile_url: str = ""
    """Map tiles for the dashboard, like https://tiles.example.org/{z}/{x}/{y}.png; empty: maps without a background."""

    @field_validator("webhook_allow_networks", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip()]
        return value

    @field_validator("mqtt_url")
    @classmethod
    def _mqtt(cls, value: SecretStr) -> SecretStr:
        try:
            url = urlsplit(value.get_secret_value())
            usable = url.scheme in ("mqtt", "mqtts") and bool(url.hostname) and url.port != 0
        except ValueError:  # its words may hold part of the password
            usable = False
        if not usable:
            raise ValueError("must look like mqtt://user:password@host:1883 or mqtts://…")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _smtp(cls, value: SecretStr) -> SecretStr:
        try:
            url = urlsplit(value.get_secret_value())
            usable = url.scheme in ("smtp", "smtps") and bool(url.hostname) and url.port != 0
        except ValueError:  # its words may hold part of the password
            usable = False
        if value.get_secret_value() and not usable:
            raise ValueError("must look like smtps://user:password@host:465 or smtp://…:587")
        return value

    @field_validator("smtp_sender")
    @classmethod
    def _sender(cls, value: str, info: ValidationInfo) -> str:
        url = info.data.get("smtp_url")
        if url is not None and url.get_secret_value() and (value.count("@") != 1 or len(value.split()) != 1):
            raise ValueError("must be an address like care@example.org where HOMECARE_SMTP_URL is set")
        return value

    @field_validator("canary_s")
    @classmethod
    def _canary(cls, value: float) -> float:
        if value != 0 and not 5 <= value <= 3600:
            raise ValueError("must be 0 (none), or 5 to 3600 seconds")
        return value

    @field_validator("canary_listen")
    @classmethod
    def _canary_listen(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        try:
            ipaddress.ip_address(host.strip("[]"))
            usable = port.isdecimal() and 0 < int(port) < 65536
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("must look like 127.0.0.1:8003")
        return value

    @field_validator("heartbeat_url")
    @classmethod
    def _heartbeat(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        url = urlsplit(value.get_secret_value())
        if value.get_secret_value() and (url.scheme not in ("http", "https") or not url.hostname):
            raise ValueError("must look like https://watch.example.org/ping/…")
        if value.get_secret_value() and not info.data.get("canary_s"):
            raise ValueError("needs HOMECARE_CANARY_S: what beats is the simulated SOS that arrived")
        return value

    @field_validator("public_url")
    @classmethod
    def _public(cls, value: str) -> str:
        url = urlsplit(value)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("must look like https://care.example.org")
        return value.rstrip("/")

    @field_validator("tile_url")
    @classmethod
    def _tiles(cls, value: str) -> str:
        url = urlsplit(value)
        if value and (
            url.scheme not in ("http", "https") or not url.netloc or not all(p in value for p in ("{z}", "{x}", "{y}"))
        ):
            raise ValueError("must look like https://tiles.example.org/{z}/{x}/{y}.png")
        return value

    @field_validator("secret_key")
    @classmethod
    def _secret(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 32:
            raise ValueError("must be at least 32 characters of random text")
        return value

    @field_validator("instance")
    @classmethod
    def _instance(cls, value: str) -> str:
        if not value or not all(c.isalnum() or c in "-_" for c in value) or len(value) > 32:
            raise ValueError("must be 1 to 32 letters, digits, - or _")
        return value

    @field_validator("listen")
    @classmethod
    def _listen(cls, value: str) -> str:
        if value:
            host, _, port = value.rpartition(":")
            if not host or not port.isdigit() or not 0 <= int(port) < 65536:
                raise ValueError("must look like 127.0.0.1:8000")
        return value

    @field_validator("mqtt_receive_maximum")
    @classmethod
    def _receive_maximum(cls, value: int) -> int:
        if not 1 <= value <= 65535:
            raise ValueError("must be 1 to 65535")
        return value

    @field_validator("retention_days")
    @classmethod
    def _retention(cls, value: int) -> int:
        if value != 0 and not 35 <= value <= 36_500:
            raise ValueError("must be 0 (for ever), or 35 to 36500 days")
        return value

    def address(self, default_port: int) -> tuple[str, int]:
        """(host, port) to listen on; `default_port` where the setting is empty."""
        if not self.listen:
            return "127.0.0.1", default_port
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


def load_settings() -> Settings:
    """Settings from the environment.

    Raises:
        SettingsError: the first wrong or missing variable, by name; its value is never shown.
    """
    try:
        return Settings()  # type: ignore[call-arg]  # fields come from the environment
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = PREFIX + str(first["loc"][0]).upper() if first["loc"] else "settings"
        problem = "is not set" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
        raise SettingsError(name, problem) from None
