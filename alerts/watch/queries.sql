-- Statements of the auditor, the canary and the drills.

-- Troubles: each returns (id, seconds it has lasted) of what should not be, the longest first.

-- name: no_timer
-- Nobody will be called any more, though nobody has it: an open alert, one whose answer is to run out, one to be confirmed.
select a.id, extract(epoch from clock_timestamp() - a.opened_at)::float8 as seconds
from alert a left join escalation e on e.alert = a.id
where e.next_at is null and a.reason_code <> 'drill'
  and (a.state = 'open' or (a.state = 'acknowledged' and a.answer_until is not null)
       or (a.state = 'cancelled' and a.confirm_until is not null and a.opened_at > clock_timestamp() - interval '2 days'))
order by a.opened_at limit 1000

-- name: late_timer
select alert as id, extract(epoch from clock_timestamp() - next_at)::float8 as seconds from escalation
where next_at < clock_timestamp() - interval '10 seconds' order by next_at limit 1000

-- name: stuck_lease
-- Whoever took it died and nobody took it over, or it was taken by a clock that was wrong.
select id, greatest(0, extract(epoch from clock_timestamp() - leased_until))::float8 as seconds from notification
where state = 'pending' and (leased_until < clock_timestamp() - interval '10 seconds'
                             or leased_until > clock_timestamp() + interval '5 minutes')
order by leased_until limit 1000

-- name: waiting_notification
-- Due and with nobody who sends it. What waits on a console is answered by people.
select id, extract(epoch from clock_timestamp() - next_at)::float8 as seconds from notification
where state = 'pending' and channel_kind <> 'console' and next_at < clock_timestamp() - interval '60 seconds'
  and (leased_until is null or leased_until < clock_timestamp())
order by next_at limit 1000

-- name: waiting_command
select id, extract(epoch from clock_timestamp() - next_at)::float8 as seconds from command
where next_at < clock_timestamp() - interval '60 seconds' and expires_at > clock_timestamp()
  and (leased_until is null or leased_until < clock_timestamp())
order by next_at limit 1000

-- name: unhandled_trigger
select id, extract(epoch from clock_timestamp() - created_at)::float8 as seconds from trigger
where handled_at is null and created_at < clock_timestamp() - interval '10 seconds' order by id limit 1000

-- Repairs: each takes one and looks again under its lock; no row: somebody else was faster. The alert is held first, as
-- whoever writes the log about it does.

-- name: repair_no_timer
with held as (
    select id, coalesce(answer_until, confirm_until, clock_timestamp()) as next_at from alert
    where id = %(id)s and reason_code <> 'drill'
      and (state = 'open' or (state = 'acknowledged' and answer_until is not null)
           or (state = 'cancelled' and confirm_until is not null))
    for no key update skip locked)
insert into escalation as e (alert, next_at) select id, next_at from held
on conflict (alert) do update set next_at = excluded.next_at where e.next_at is null
returning alert

-- name: repair_stuck_lease
with held as (
    select n.id from notification n left join lateral (select from alert where id = n.alert for no key update) a on true
    where n.id = %(id)s and n.state = 'pending' and (n.leased_until < clock_timestamp() - interval '10 seconds'
        or n.leased_until > clock_timestamp() + interval '5 minutes')
    for no key update of n skip locked)
update notification n set leased_until = null from held where n.id = held.id returning n.alert

-- name: insert_own_trigger
-- What no reading and no event says, but the service itself.
insert into trigger (key, at, rule, version, kind, severity, state, area, evidence, zh, en)
values (%(key)s, clock_timestamp(), %(rule)s, %(version)s, %(kind)s, %(severity)s, %(state)s, %(area)s, %(evidence)s, %(zh)s,
    %(en)s)
returning id

-- name: trouble_untold
-- The roots whose operators do not know of it yet.
select code from area
where parent is null and not exists (
    select from alert where dedup_key = %(kind)s || ':' || %(rule)s || ':a' || code and state in ('open', 'acknowledged'))

-- name: trouble_told
-- The roots where it is still open, though the last word on it is not "cleared".
select a.area as code from alert a
where starts_with(a.dedup_key, %(kind)s || ':' || %(rule)s || ':a') and a.state in ('open', 'acknowledged')
  and not exists (select from trigger where rule = %(rule)s and area = a.area and state = 'cleared' and handled_at is null)
