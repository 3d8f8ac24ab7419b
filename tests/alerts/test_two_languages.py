"""The product's own posts, verified by the specification's own libraries: Python's, and JavaScript's run by Node.js."""

import json
import subprocess
from pathlib import Path
from typing import Any

import playwright
import pytest
import standardwebhooks
from psycopg import AsyncConnection

from tests.alerts.places import VAULT, Directory, new_secret
from tests.alerts.receiver import Post, Receiver
from tests.alerts.service import event, running, until
from tests.conftest import missing
from tests.services.errors import ServiceMissing

PROJECT = Path(__file__).parents[2]
NODE = Path(playwright.__file__).parent / "driver" / "node"
"""The browser's driver brings one."""


def in_javascript(*posts: tuple[str, Post]) -> list[str]:
    """What the JavaScript library says of each (secret, post): the message's type, or its error's name."""
    if not (PROJECT / "node_modules" / "standardwebhooks").is_dir() or not NODE.exists():
        missing(ServiceMissing("standardwebhooks for JavaScript", "run deploy/setup/tests.sh"))
    given = [{"secret": secret, "headers": post.headers, "body": post.body.decode()} for secret, post in posts]
    done = subprocess.run(
        [NODE, Path(__file__).with_name("verify.mjs")],
        input=json.dumps(given), capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    verdicts: list[str] = json.loads(done.stdout)
    return verdicts


def in_python(secret: str, post: Post) -> Any:
    return standardwebhooks.Webhook(secret).verify(post.body, post.headers)


async def test_posts_verify_in_both_languages_with_either_secret_while_one_rotates_and_no_other(
    directory: Directory, db: AsyncConnection, database_url: str, receiver: Receiver
) -> None:
    resident = await directory.add_resident()
    (channel,) = await directory.add_contact("C-1", receiver.url, resident=resident)
    old, new, other = directory.secrets[channel], new_secret(), new_secret()
    async with running(database_url) as service:
        await service.broker.send(event("sos", 1, resident=resident))
        await receiver.wait(1)
        await db.execute(
            "update channel set previous_secret = secret, previous_secret_until = now() + interval '1 hour', secret = %s",
            [VAULT.seal(new)],
        )
        await db.execute("select alert_acknowledge(id, 'contact:C-1', 'link', '') from alert")
        first, both = await receiver.wait(2)
        await until(db, "select count(*) = 2 from notification where state = 'delivered'")
    assert "示例" in first.body.decode()
    altered = Post(both.at, both.headers, both.body.replace(b"alert.acknowledged", b"alert.resolved    "))
    late = Post(
        first.at, first.headers | {"webhook-timestamp": str(int(first.headers["webhook-timestamp"]) - 900)}, first.body
    )
    refused = "WebhookVerificationError"
    assert in_javascript(
        (old, first), (old, both), (new, both), (other, both), (new, altered), (old, late)
    ) == ["alert.opened", "alert.acknowledged", "alert.acknowledged", refused, refused, refused]  # fmt: skip
    assert in_python(old, first)["type"] == "alert.opened"
    assert in_python(old, both) == in_python(new, both)
    for secret, post in ((other, both), (new, altered), (old, late)):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            in_python(secret, post)
