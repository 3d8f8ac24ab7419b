"""Endpoints that answer slowly, wrongly, for ever or not at all: what does not arrive goes by the contact's next channel at once."""

from dataclasses import dataclass

from psycopg import AsyncConnection

from tests.faults.alerts_check import judge
from tests.faults.alerts_stage import AlertsStage
from tests.faults.stage import Verdict

WITHIN_S = 5.0
"""From a failure to the post by the next channel: on a machine that does other work."""
RETRY_AFTER_S = 7.0
"""What `busy` asks for (tests/alerts/endpoints.py)."""
STEP_S = 600


@dataclass(frozen=True, slots=True)
class Way:
    """What a first attempt by `way` must come to. `next`: the contact's second channel must be told."""

    way: str
    outcome: str
    status: int | None
    state: str
    next: bool
    posted: bool = True
    scheme: str = "http"


WAYS = (
    Way("slow", "delivered", 200, "delivered", next=False),
    Way("endless", "delivered", 200, "delivered", next=False),
    Way("error", "refused", 500, "pending", next=True),
    Way("busy", "refused", 429, "pending", next=True),
    Way("gone", "gone", 410, "dead", next=True),
    Way("redirect", "refused", 302, "pending", next=True),
    Way("tls", "failed", None, "pending", next=True, posted=False, scheme="https"),
)
FIRST = """
    select a.outcome, a.status, n.state, extract(epoch from a.at)::float8,
        (select c.disabled_reason from channel c where c.id = n.channel)
    from notification n join attempt a on a.notification = n.id join channel c on c.id = n.channel
    where n.contact = %s and c.rank = 1 order by a.id limit 1
"""
ATTEMPTED = """
    not exists (select from resident_contact rc join resident r on r.key = rc.resident where r.id = any('{%s}')
        and not exists (select from notification n join attempt a on a.notification = n.id where n.contact = rc.contact))
"""


async def endpoints(stage: AlertsStage) -> Verdict:
    """A resident for each way, whose contact has a second channel that works."""
    await stage.have(1)
    before = len(stage.account.triggers)
    await stage.begin(0, STEP_S)
    async with stage.town() as town:
        homes = [
            [[stage.endpoints.url(n, way.way).replace("http:", f"{way.scheme}:"), stage.endpoints.url(n)]]
            for n, way in enumerate(WAYS)
        ]
        people = await town.settle(homes)
        await stage.trigger(town, *people)
    await stage.until(ATTEMPTED % ",".join(people), 60, "a first attempt at each")
    # Not `settle`: what is refused is due again for a day. Two attempts at `busy` show that its wish is honoured.
    await stage.until(
        f"(select count(*) from attempt a join notification n on n.id = a.notification where a.status = 429"
        f" and n.contact = 'C-{people[3][2:]}-1') >= 2",
        60,
        "a second attempt at the busy one",
    )
    await _answer_all(stage)
    verdict = await judge(stage, before)
    async with await AsyncConnection.connect(stage.url, autocommit=True) as db:
        wrong = [way.way for way, person in zip(WAYS, people, strict=True) if not await _right(stage, db, way, person)]
    verdict.notes |= {f"{way}_wrong": 1.0 for way in wrong}
    verdict.notes["endpoints_wrong"] = len(wrong)
    verdict.notes["redirects_followed"] = sum(post.path.startswith("/trap") for post in stage.endpoints.look())
    # What an endpoint refused or never answered is sent again with the same name: that is what these endpoints are for.
    verdict.notes["posts_twice"] = 0
    return verdict


async def _answer_all(stage: AlertsStage) -> None:
    """Nothing is retried into the next repetition."""
    async with stage.town() as town:
        await town.db.execute(
            "select alert_resolve(id, 'operator:li', 'page', 'drill', '') from alert where state = 'open'"
        )
        await town.db.execute("update notification set state = 'dropped' where state = 'pending'")


async def _right(stage: AlertsStage, db: AsyncConnection, way: Way, person: str) -> bool:
    contact = f"C-{person[2:]}-1"
    row = await (await db.execute(FIRST, [contact])).fetchone()
    if row is None:
        return False
    outcome, status, _, at, disabled = row
    pages = [post for post in stage.endpoints.posts if post.resident == person and post.pages]
    mine = [post for post in pages if post.path.startswith(f"/{way.way}")]
    others = [post for post in pages if post.path.startswith("/ok")]
    right: bool = (outcome, status) == (way.outcome, way.status) and bool(mine) == way.posted
    right &= (disabled == "gone") == (way.state == "dead")
    if way.next:
        right &= len(others) == 1 and others[0].at - at < WITHIN_S
    else:
        right &= not others and len(mine) == 1
    if way.way == "busy":
        right &= len(mine) >= 2 and mine[1].at - mine[0].at >= RETRY_AFTER_S
    return right
