"""What must hold after every fault, read from the database, the endpoints' own record and the test's account."""

from collections import Counter, defaultdict
from itertools import pairwise

from psycopg import AsyncConnection

from alerts.audit import sealing_key, verify
from tests.faults.alerts_stage import AlertsStage
from tests.faults.stage import SECRET_KEY, Verdict

COUNTS = {
    "triggers_lost": "select count(*) from unnest(%(keys)s::text[]) k where not exists"
    " (select from trigger where key = k and alert is not null)",
    "steps_twice": "select count(*) from (select from log where action = 'escalation.step'"
    " group by alert, detail ->> 'step', detail ->> 'round' having count(*) > 1) twice",
    # Dropped: somebody had answered before it went out.
    "steps_lost": "select count(*) from log l where l.action = 'escalation.step' and not exists ("
    " select from notification n where n.alert = l.alert and n.step = (l.detail ->> 'step')::int"
    " and (n.state in ('delivered', 'dead', 'dropped') or n.channel_kind = 'console'))",
    "open_twice": "select count(*) from (select from alert where state in ('open', 'acknowledged')"
    " group by dedup_key having count(*) > 1) twice",
    "open_without_timer": "select count(*) from alert a where state = 'open' and not exists"
    " (select from escalation e where e.alert = a.id and e.next_at > clock_timestamp() - interval '10 seconds')",
    "leases_stuck": "select count(*) from notification where state = 'pending'"
    " and leased_until < clock_timestamp() - interval '10 seconds' and next_at < clock_timestamp() - interval '10 seconds'",
}
"""Each must be 0."""
STEPS = """
    select l.alert, (l.detail ->> 'step')::int, extract(epoch from l.at)::float8 from log l
    where l.action = 'escalation.step' and (l.detail ->> 'round')::int = 0 order by l.alert, l.place
"""
AFTER_ANSWER_S = 1.0
NEVER = frozenset({*COUNTS, "posts_twice", "posts_renamed", "posts_after_answer", "log_findings", "told_wrong"})
AT_MOST = {"step_late_s": 10.0, "resent_within_s": 60.0}


async def judge(stage: AlertsStage, sent_before: int = 0) -> Verdict:
    """All that must hold, once `stage` has settled. `sent_before`: triggers of earlier repetitions."""
    account, posts = stage.account, stage.endpoints.look()
    verdict = Verdict(sent=len(account.triggers) - sent_before)
    notes = verdict.notes
    async with await AsyncConnection.connect(stage.url, autocommit=True) as db:
        for name, query in COUNTS.items():
            row = await (await db.execute(query.encode(), {"keys": list(account.triggers)})).fetchone()
            assert row is not None
            notes[name] = row[0]
        notes["log_findings"] = len((await verify(db, sealing_key(SECRET_KEY))).findings)
    verdict.missing, verdict.twice = int(notes["triggers_lost"]), int(notes["steps_twice"])
    verdict.acknowledged = verdict.sent - verdict.missing
    times = Counter(post.id for post in posts)
    again = sum(number - 1 for number in times.values())
    # Only a process that dies between a post and its commit may leave one to be sent again.
    notes["posts_twice"] = again if not account.killed else 0
    notes["posts_again"] = again
    # From one post to the next of the same name: the second sender may be killed as well.
    last: dict[str, float] = {}
    notes["resent_within_s"] = 0.0
    for post in posts:
        notes["resent_within_s"] = max(notes["resent_within_s"], post.at - last.get(post.id, post.at))
        last[post.id] = post.at
    names = defaultdict(set)
    for post in posts:
        if post.pages:
            names[post.alert, post.step, post.path].add(post.id)
    notes["posts_renamed"] = sum(len(ids) - 1 for ids in names.values())
    answered = {str(alert): at for alert, at in account.answered.items()}
    notes["posts_after_answer"] = sum(
        post.pages and post.at > answered.get(post.alert, float("inf")) + AFTER_ANSWER_S for post in posts
    )
    return verdict


async def lateness(stage: AlertsStage, delay_s: float) -> float:
    """The latest step of all, seconds after it was due and a process was there to take it. Each is due `delay_s` after the one before."""
    late = 0.0
    async with await AsyncConnection.connect(stage.url, autocommit=True) as db:
        steps = await (await db.execute(STEPS)).fetchall()
    for (alert, step, at), (next_alert, next_step, next_at) in pairwise(steps):
        if alert == next_alert and next_step == step + 1:
            due = at + delay_s
            began = max((start for start in stage.account.started if start <= next_at), default=0.0)
            late = max(late, next_at - max(due, began))
    return late
