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

-- Drills.

-- name: begin_drills
-- Those whose day and hour have come by the area's own clock; once a month, and not while one of the area still runs.
insert into drill (area, month, started_by, begins, ends, per_minute, answer_s)
select s.area, date_trunc('month', here.now)::date, 'system', s.begins, s.ends, s.per_minute, s.answer_s
from drill_schedule s join area a on a.code = s.area
cross join lateral (select clock_timestamp() at time zone a.timezone as now) here
where extract(day from here.now) >= s.day and here.now::time >= s.begins and here.now::time < s.ends
  and not exists (select from drill d where d.area = s.area
                  and (d.ended_at is null or d.month = date_trunc('month', here.now)::date))
on conflict do nothing
returning id, area

-- name: start_drill
-- By hand; what is not said is as the schedule of the nearest area says, else as the table's own defaults.
insert into drill (area, started_by, begins, ends, per_minute, answer_s)
select a.code, %(by)s, coalesce(%(begins)s, s.begins, '10:00'), coalesce(%(ends)s, s.ends, '17:00'),
    coalesce(%(per_minute)s, s.per_minute, 6), coalesce(%(answer_s)s, s.answer_s, 86400)
from area a
left join lateral (select x.* from area_above(a.code) u join drill_schedule x on x.area = u.code order by u.distance limit 1) s on true
where a.code = %(area)s
on conflict do nothing
returning id, area

-- name: enrol
-- Every household of the area and below; of a scheduled drill, those that no nearer schedule has.
insert into drill_household (drill, resident)
select d.id, r.key from drill d join resident r on r.area in (select area_within(d.area))
where d.id = %(drill)s and (d.month is null or d.area = (
    select s.area from area_above(r.area) u join drill_schedule s on s.area = u.code order by u.distance limit 1))
on conflict do nothing

-- name: stop_drill
-- Nobody more is told; who was told may still answer.
update drill set stopped_at = clock_timestamp(), stopped_by = %(by)s
where area = %(area)s and ended_at is null and stopped_at is null returning id, area

-- name: leave_untold
-- Of a drill that was stopped, or has waited a week for people who always had a real alert.
update drill_household h set ended_at = clock_timestamp(), people = 'not_tested', device = 'not_tested'
from drill d
where d.id = h.drill and d.ended_at is null and h.told_at is null and h.ended_at is null
  and (d.stopped_at is not null or d.started_at < clock_timestamp() - interval '7 days')

-- name: households_to_tell
-- In its hours, at its pace, and nobody who has a real alert now.
select d.id as drill, h.resident, r.id as resident_id, r.area, w.device, w.device_id
from drill d join area a on a.code = d.area
cross join lateral (select (clock_timestamp() at time zone a.timezone)::time as now) here
cross join lateral (
    select x.resident from drill_household x
    where x.drill = d.id and x.told_at is null and x.ended_at is null
      and not exists (select from alert o where o.resident = x.resident and o.state in ('open', 'acknowledged')
                      and o.severity in ('critical', 'urgent'))
    order by x.resident
    limit greatest(0, least(ceil(d.per_minute / 60.0), d.per_minute - (
        select count(*) from drill_household y where y.drill = d.id and y.told_at > clock_timestamp() - interval '1 minute')))) h
join resident r on r.key = h.resident
left join lateral (
    select v.key as device, v.id as device_id from wearing n join device v on v.key = n.device and v.revoked_at is null
    where n.resident = h.resident and n.until is null order by v.kind <> 'handset', v.id limit 1) w on true
where d.ended_at is null and d.stopped_at is null and here.now >= d.begins and here.now < d.ends

-- name: insert_drill_trigger
insert into trigger (key, at, rule, version, kind, severity, state, resident, area, evidence, zh, en)
values (%(key)s, clock_timestamp(), 'drill', 1, 'device', 'info', 'raised', %(resident)s, %(area)s, %(evidence)s, %(zh)s, %(en)s)
on conflict (key) do nothing
returning id

-- name: tell_of_drill
with stepped as (update escalation set step = 1 where alert = %(alert)s)
insert into notification (alert, type, step, round, channel_kind, channel, contact)
values (%(alert)s, 'alert.opened', 1, 0, %(kind)s, %(channel)s, %(contact)s)
on conflict do nothing

-- name: test_device
insert into command (device, name, expires_at, created_by, alert)
values (%(device)s, 'test', clock_timestamp() + interval '10 minutes', 'system', %(alert)s)
returning id

-- name: household_told
update drill_household set told_at = clock_timestamp(), alert = %(alert)s, contact = %(contact)s, command = %(command)s,
    device_id = %(device_id)s
where drill = %(drill)s and resident = %(resident)s

-- name: household_failed
update drill_household set ended_at = clock_timestamp(), people = 'not_tested', device = 'not_tested'
where drill = %(drill)s and resident = %(resident)s and ended_at is null

-- name: households_waiting
-- Those told and not done, with what can be said by now of the people and of the device; NULL: not yet.
select h.drill, h.resident, h.alert, a.state in ('open', 'acknowledged') as open,
    case when h.contact is null then 'no_contact'
         when exists (select from log l where l.alert = h.alert and l.actor like 'contact:%%' and l.action in
             ('alert.acknowledged', 'alert.arrived', 'alert.declined', 'alert.resolved', 'alert.noted')) then 'answered'
         when exists (select from alert o where o.resident = h.resident and o.id <> h.alert and o.severity in ('critical', 'urgent')
             and o.state in ('open', 'acknowledged')) then 'interrupted'
         when coalesce(a.state, 'resolved') not in ('open', 'acknowledged')
             or h.told_at < clock_timestamp() - make_interval(secs => d.answer_s) then
             case when exists (select from notification n where n.alert = h.alert and n.state = 'delivered') then 'no_answer'
                  else 'not_delivered' end
    end as people,
    case when h.command is null then 'no_device' when c.ok then 'answered' when c.replied_at is not null then 'refused'
         when c.expires_at <= clock_timestamp() then 'no_answer' end as device
from drill d join drill_household h on h.drill = d.id
left join alert a on a.id = h.alert
left join command c on c.id = h.command
where d.ended_at is null and h.told_at is not null and h.ended_at is null

-- name: end_household
update drill_household set ended_at = clock_timestamp(), people = %(people)s, device = %(device)s
where drill = %(drill)s and resident = %(resident)s and ended_at is null returning resident

-- name: end_drills
update drill d set ended_at = clock_timestamp()
where d.ended_at is null and not exists (select from drill_household h where h.drill = d.id and h.ended_at is null)
returning d.id, d.area, (select count(*) from drill_household h where h.drill = d.id) as households,
    (select count(*) from drill_household h where h.drill = d.id and h.people = 'answered') as reached

-- name: drills
select d.id, d.area, d.month, d.started_at, d.started_by, d.stopped_at, d.ended_at, d.begins, d.ends, d.per_minute, count(h.resident) as households,
    count(h.told_at) as told, count(*) filter (where h.people = 'answered') as reached,
    count(*) filter (where h.people <> 'answered') as not_reached
from drill d left join drill_household h on h.drill = d.id
where %(area)s::text is null or d.area in (select area_within(%(area)s))
group by d.id order by d.id desc limit 50

-- name: unreached
-- Whom the drill did not reach, and which devices; by area and name of the household.
select r.id, r.name, r.area, r.phone, h.people, h.device, h.contact, c.name as contact_name, c.phone as contact_phone, h.device_id, h.told_at
from drill_household h join resident r on r.key = h.resident left join contact c on c.id = h.contact
where h.drill = %(drill)s and (h.people <> 'answered' or h.device in ('no_answer', 'refused'))
order by r.area, r.name, r.id

-- The canary.

-- name: hold_canary
-- One process presses; another begins when it has been silent for three presses.
update canary set holder = %(holder)s, leased_until = clock_timestamp() + make_interval(secs => 3 * %(every_s)s)
where holder = %(holder)s or leased_until is null or leased_until < clock_timestamp()
returning holder

-- name: prepare_canary
-- An area of its own below the root, so that nobody's operators have it, with a device and whom its SOS calls; no row: there is no
-- root yet. The address is this process's listener.
with root as (select code from area where parent is null order by code limit 1),
own_area as (
    insert into area (code, parent, level, name_zh, name_en) select 'canary', code, 'village', '自检', 'Self-test' from root
    on conflict (code) do update set parent = area.parent returning code),
own_device as (
    insert into device (id, area, kind, interval_s) select 'canary', code, 'home_sensor', 604800 from own_area
    on conflict (id) do nothing),
own_contact as (
    insert into contact (id, name, role, area) select 'canary', '自检', 'other', code from own_area
    on conflict (id) do update set area = excluded.area returning id),
own_channel as (
    insert into channel (contact, rank, kind, address, secret) select id, 1, 'webhook', %(address)s, %(secret)s from own_contact
    on conflict (contact, rank) do update set kind = 'webhook', address = excluded.address, secret = excluded.secret,
        disabled_at = null, disabled_reason = null),
own_policy as (
    insert into policy (id, area, repeat_s) select 'canary', code, 86400 from own_area
    on conflict (id) do update set area = excluded.area returning id),
own_step as (
    insert into policy_step (policy, step, delay_s) select id, 1, 0 from own_policy on conflict do nothing),
own_target as (
    insert into step_target (policy, step, n, contact) select own_policy.id, 1, 1, own_contact.id from own_policy, own_contact
    on conflict do nothing)
select code from own_area

-- name: end_canary
-- What it has open: nobody but the program has to do with it.
select alert_resolve(id, 'system', 'canary', 'technical', '') from alert where area = 'canary' and state in ('open', 'acknowledged')
