-- Every statement of the alerts process. The life cycle itself is in the database's functions (migration 0004).

-- name: lock_device
-- Events of one device one after the other, in whatever process: a cancel and what it takes back must see each other.
select pg_advisory_xact_lock(hashtextextended(%(device_id)s, 0))

-- name: insert_event
-- No row: (device, boot, seq) is there already.
insert into event (device_id, device, resident, area, event, boot, seq, of_seq, service, ts, claimed, received, flags,
    "values", position)
values (%(device_id)s, %(device)s, %(resident)s, %(area)s, %(event)s, %(boot)s, %(seq)s, %(of)s, %(service)s, %(ts)s,
    %(claimed)s, %(received)s, %(flags)s, %(values)s, %(position)s)
on conflict (device_id, boot, seq) do nothing
returning id

-- name: known_event
select alert, event, ts, flags from event where device_id = %(device_id)s and boot = %(boot)s and seq = %(seq)s

-- name: insert_sample
-- What came with an event, as a sample like any other; the metrics are the contract's, in its order.
insert into sample (ts, received, claimed, device, resident, boot, seq, part, flags,
    heart_rate, spo2, respiratory_rate, systolic, diastolic, temperature, glucose, weight, height, steps, activity, presence,
    room_temperature, battery, signal, lat, lon, accuracy, speed, heading, altitude, fix)
values (%(ts)s, %(received)s, %(claimed)s, %(device)s, %(resident)s, %(boot)s, %(seq)s, 0, %(flags)s,
    %(heart_rate)s, %(spo2)s, %(respiratory_rate)s, %(systolic)s, %(diastolic)s, %(temperature)s, %(glucose)s, %(weight)s,
    %(height)s, %(steps)s, %(activity)s, %(presence)s, %(room_temperature)s, %(battery)s, %(signal)s,
    %(lat)s, %(lon)s, %(accuracy)s, %(speed)s, %(heading)s, %(altitude)s, %(fix)s)
on conflict do nothing

-- name: insert_trigger
-- No row: this trigger is there already.
insert into trigger (key, at, rule, version, kind, metric, severity, state, device, device_id, resident, area, event,
    evidence, zh, en)
values (%(key)s, %(at)s, %(rule)s, %(version)s, %(kind)s, %(metric)s, %(severity)s, %(state)s, %(device)s, %(device_id)s,
    %(resident)s, %(area)s, %(event)s, %(evidence)s, %(zh)s, %(en)s)
on conflict (key) do nothing
returning id

-- name: raise_alert
select alert_id, outcome from alert_raise(%(trigger)s)

-- name: raise_alerts
-- As raise_alert, one after the other, for many.
select r.alert_id, r.outcome
from unnest(%(triggers)s::bigint[]) with ordinality t (id, n) cross join lateral alert_raise(t.id) r order by t.n

-- name: set_event_alert
update event set alert = %(alert)s where id = %(event)s

-- name: event_to_cancel
-- What a cancel takes back, if it has come.
select alert from event where device_id = %(device_id)s and boot = %(boot)s and seq = %(of)s and event <> 'cancel'

-- name: cancels_of_event
-- The cancels that came before the event they take back.
select id, seq from event where device_id = %(device_id)s and boot = %(boot)s and of_seq = %(seq)s and event = 'cancel'
order by seq

-- name: not_taken_back
-- Has the alert an event that this cancel does not cover: pressed after it, or by another device?
select exists (
    select from event
    where alert = %(alert)s and event <> 'cancel'
      and (device_id = %(device_id)s and boot = %(boot)s and seq < %(cancel_seq)s) is not true)

-- name: cancel_alert
select alert_cancel(%(alert)s, %(actor)s, 'device', '')

-- name: log
insert into log (alert, actor, action, detail) values (%(alert)s, %(actor)s, %(action)s, %(detail)s)

-- name: ask_position
-- At once, and not twice while the handset has not answered.
insert into command (device, name, expires_at, created_by, alert)
select key, 'locate', clock_timestamp() + interval '5 minutes', 'system', %(alert)s from device
where key = %(device)s and kind = 'handset' and revoked_at is null
  and not exists (select from command where device = %(device)s and alert = %(alert)s and name = 'locate'
                  and replied_at is null and expires_at > clock_timestamp())

-- name: insert_rejection
insert into quarantine (received, last_received, lane, topic, payload, reason, detail, device, area)
values (%(received)s, %(received)s, 'event', %(topic)s, %(payload)s, %(reason)s, %(detail)s, %(device)s, %(area)s)
on conflict (md5(topic), sha256(payload), reason) where replayed_at is null
do update set times = quarantine.times + 1, last_received = greatest(quarantine.last_received, excluded.received)

-- name: insert_stranger
insert into unknown_device (device, area, first_seen, last_seen) values (%(device)s, %(area)s, %(received)s, %(received)s)
on conflict (device, area)
do update set messages = unknown_device.messages + 1, last_seen = greatest(unknown_device.last_seen, excluded.last_seen)

-- name: store_reply
-- The first answer counts; only the device that was asked may give it.
select alert, name from command_reply(%(id)s, %(device)s, %(ok)s, %(result)s, %(error)s)

-- name: lock_intake
-- One intake at a time, so that what was raised and what was cleared are seen in their order.
select pg_try_advisory_xact_lock(0x686f6d6572), set_config('idle_in_transaction_session_timeout', '10s', true)

-- name: waiting_triggers
-- `plain`: raised, and not what a sequence of events means.
select id, state, state = 'raised' and evidence #> '{events,0,boot}' is null as plain
from trigger where handled_at is null order by id limit %(most)s for update skip locked

-- name: case_of_sequence
-- What a sequence of events means is about the case that the first of them has, unless it is worse than that case.
select a.id, t.rule, t.severity, t.at from trigger t
join event e on e.device_id = t.device_id and e.boot = (t.evidence #>> '{events,0,boot}')::int
    and e.seq = (t.evidence #>> '{events,0,seq}')::int
join alert a on a.id = e.alert and a.state <> 'resolved' and severity_rank(a.severity) >= severity_rank(t.severity)
where t.id = %(trigger)s

-- name: alert_to_clear
-- The open alert that this cleared trigger is about; no row: nothing is open.
select a.id, t.at from trigger t
join alert a on a.state in ('open', 'acknowledged')
  and a.dedup_key = t.kind || ':' || t.rule || ':' || coalesce('r' || t.resident, 'd' || coalesce(t.device_id,
      (select id from device where key = t.device)), 'a' || t.area, '')
where t.id = %(trigger)s

-- name: clear_alert
select alert_clear(%(alert)s, %(at)s)

-- name: trigger_handled
update trigger set handled_at = clock_timestamp(), alert = %(alert)s where id = %(trigger)s

-- name: clock_check
-- By how much the database's clock was set back, and all deadlines with it; NULL: it was not.
select clock_check()

-- name: claim_steps
-- Alerts first and escalations with them, skipping what another holds: no waiting, so no deadlock with an answer.
select e.alert, a.state, e.step, e.round, e.policy, extract(epoch from clock_timestamp() - a.opened_at)::float8 as age_s
from escalation e join alert a on a.id = e.alert
where e.next_at <= clock_timestamp()
order by e.next_at limit %(most)s
for no key update of a, e skip locked

-- name: circles
-- Whom each alert can reach: policies that may apply, the resident's contacts, usable channels, areas upwards, and of everybody
-- else whom those policies or the service that was called for may mean. With `resident` instead of alerts: a case that might be.
with cases as (
    select a.id, a.kind, a.severity, a.resident, a.area, a.lat, a.lon, e.policy, clock_timestamp() as at,
        case when a.kind = 'assist' then (select coalesce(ev.service, 'other') from event ev
            where ev.alert = a.id and ev.event = 'assist' order by ev.id desc limit 1) end as service
    from alert a join escalation e on e.alert = a.id
    where a.id = any(%(alerts)s)
    union all
    select null, %(kind)s::text, %(severity)s::text, r.key, r.area, null, null, null, %(at)s::timestamptz, %(service)s::text
    from resident r where r.id = %(resident)s::text)
select c.id, c.kind, c.severity, c.resident, c.area, c.at, c.service, coalesce(c.lat, r.lat) as lat, coalesce(c.lon, r.lon) as lon,
    up.areas, own.family, fit.policies, coalesce(z.timezone, 'Asia/Shanghai') as timezone,
    (select coalesce(jsonb_agg(jsonb_build_object('contact', k.contact, 'id', k.id, 'kind', k.kind) order by k.contact, k.rank), '[]')
     from channel k where k.disabled_at is null and k.kind = any(%(kinds)s) and k.contact = any(all_of.contacts)) as channels,
    (select coalesce(jsonb_agg(to_jsonb(x) || jsonb_build_object('contact', x.id,
            'timezone', coalesce(xa.timezone, z.timezone, 'Asia/Shanghai'))), '[]')
     from contact x left join area xa on xa.code = x.area where x.id = any(all_of.contacts)) as people,
    (select coalesce(jsonb_agg(jsonb_build_object('id', o.id, 'timezone', o.timezone, 'shifts',
            (select coalesce(jsonb_agg(to_jsonb(s) order by s.n), '[]') from rota_shift s
             where s.rota = o.id and (s.ends is null or s.ends > c.at - interval '3 days')))), '[]')
     from rota o where o.id = any(aims.rotas)) as rotas
from cases c
left join resident r on r.key = c.resident
left join area z on z.code = c.area
cross join lateral (
    select coalesce(array_agg(u.code), '{}') as codes, coalesce(jsonb_agg(jsonb_build_object('code', u.code, 'operators',
        exists (select from operator o where o.area = u.code and o.disabled_at is null)) order by u.distance), '[]') as areas
    from area_above(c.area) u) up
cross join lateral (
    select coalesce(array_agg(rc.contact), '{}') as contacts,
        coalesce(jsonb_agg(jsonb_build_object('contact', rc.contact, 'rank', rc.rank) order by rc.rank), '[]') as family
    from resident_contact rc where rc.resident = c.resident) own
cross join lateral (
    select coalesce(array_agg(p.id), '{}') as ids,
        coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'area', p.area, 'kinds', p.kinds, 'repeat_s', p.repeat_s, 'steps',
            (select coalesce(jsonb_agg(jsonb_build_object('delay_s', s.delay_s, 'to',
                (select coalesce(jsonb_agg(to_jsonb(t) order by t.n), '[]')
                 from step_target t where t.policy = s.policy and t.step = s.step)) order by s.step), '[]')
             from policy_step s where s.policy = p.id))), '[]') as policies
    from policy p where p.id = c.policy or p.resident = c.resident or p.area = any(up.codes)) fit
cross join lateral (
    select coalesce(array_agg(t.contact) filter (where t.contact is not null), '{}') as contacts,
        coalesce(array_agg(t.role) filter (where t.role is not null), '{}') as roles,
        coalesce(array_agg(t.rota) filter (where t.rota is not null), '{}') as rotas,
        coalesce(max(t.radius_m), 0) as radius_m
    from step_target t where t.policy = any(fit.ids)) aims
cross join lateral (
    select own.contacts || aims.contacts
        || array(select s.contact from rota_shift s where s.rota = any(aims.rotas))
        || array(select x.id from contact x
                 -- Nobody is looked for who is not meant: most policies name theirs.
                 where (cardinality(aims.roles) > 0 or c.service is not null or aims.radius_m > 0) and x.area = any(up.codes)
                 and (x.role = any(aims.roles) or c.service = any(x.services)
                      -- Whoever lives further north or south than that is no nearer by the great circle either.
                      or (x.watch_group and abs(x.lat - coalesce(c.lat, r.lat)) * 110000 <= aims.radius_m))) as contacts) all_of

-- name: channel_kinds
select coalesce(array_agg(distinct kind), '{}') from channel

-- name: page
-- One row of the outbox per recipient. One who has not yet received this step's message, or waits for the end of their quiet
-- hours, gets that one sooner instead of a second: nothing piles up behind a dead endpoint. `until`: not before their quiet
-- hours end. Returns (id, is it new, contact, step, until).
with wanted as (
    select * from unnest(%(contacts)s::text[], %(channels)s::bigint[], %(kinds)s::text[], %(areas)s::text[], %(steps)s::int[],
        %(types)s::text[], %(untils)s::timestamptz[]) as w (contact, channel, channel_kind, area, step, type, until)),
waiting as (
    update notification n set
        not_before = case when n.attempts = 0 and w.until is null then null else n.not_before end,
        next_at = case when w.until is not null then n.next_at
                       else greatest(least(n.next_at, clock_timestamp()),
                                     case when n.attempts > 0 then coalesce(n.not_before, '-infinity') else '-infinity' end) end
    from wanted w
    where n.alert = %(alert)s and n.state = 'pending' and (n.step = w.step or (n.attempts = 0 and n.not_before is not null))
      and n.type in ('alert.opened', 'alert.escalated') and n.contact is not distinct from w.contact
      and n.channel is not distinct from w.channel and n.area is not distinct from w.area
    returning n.id, n.contact, n.channel, n.area, n.step),
added as (
    insert into notification (alert, type, step, round, channel_kind, channel, contact, area, next_at, not_before)
    select %(alert)s, w.type, w.step, %(round)s, w.channel_kind, w.channel, w.contact, w.area, coalesce(w.until, now()), w.until
    from wanted w
    where not exists (select from waiting x where x.contact is not distinct from w.contact
                      and x.channel is not distinct from w.channel and x.area is not distinct from w.area)
    on conflict do nothing
    returning id, contact, step, not_before)
select id, true, contact, step, not_before from added
union all select id, false, contact, step, null from waiting

-- name: end_quiet
-- What has become critical waits for nobody's quiet hours.
update notification set not_before = null, next_at = clock_timestamp()
where alert = %(alert)s and state = 'pending' and attempts = 0 and not_before > clock_timestamp()

-- name: move_on
update escalation set step = %(step)s, round = %(round)s, policy = %(policy)s,
    next_at = clock_timestamp() + make_interval(secs => %(delay_s)s)
where alert = %(alert)s

-- name: answer_overdue
select alert_overdue(%(alert)s)

-- name: postpone
update escalation set next_at = clock_timestamp() + interval '10 seconds' where alert = %(alert)s

-- name: page_at_last
-- Where a step cannot be taken at all, the operators of the alert's area have it on their console. No row: they have it already.
insert into notification (alert, type, step, round, channel_kind, area)
select a.id, 'alert.escalated', e.step, e.round, 'console', a.area from alert a join escalation e on e.alert = a.id
where a.id = %(alert)s and not exists (select from notification n where n.alert = a.id and n.channel_kind = 'console'
                                       and n.state = 'pending')
on conflict do nothing returning id

-- name: next_step_in
-- Seconds until the next step is due; NULL: none is.
select extract(epoch from min(next_at) - clock_timestamp())::float8 from escalation where next_at is not null

-- name: claim_notifications
-- Those due that may go now: not more than %(per_endpoint)s at once to one endpoint (scheme, host and port).
select n.id, n.alert, n.type, n.step, n.created_at, n.attempts, n.body, n.contact, n.channel_kind,
    c.id as channel, c.address, c.secret,
    case when c.previous_secret_until > clock_timestamp() then c.previous_secret end as previous_secret,
    c.disabled_reason, a.state as alert_state, a.kind, a.severity, a.device_id, a.area, a.raised_at, a.delayed_s, a.lat, a.lon,
    a.accuracy, a.position_at, a.reason_code, a.reason_zh, a.reason_en, r.id as resident_id, r.name as resident_name,
    case when n.body is null and n.channel_kind <> 'webhook' then letter_facts(n.contact, a.area, a.resident) end as facts
from (select id, row_number() over (partition by endpoint order by next_at) as place, endpoint from (
          select d.id, d.next_at, coalesce(substring(k.address from '^[^:]+://[^/?#]+'), k.address, '') as endpoint
          from notification d left join channel k on k.id = d.channel
          where d.state = 'pending' and d.channel_kind = any(%(kinds)s) and d.next_at <= clock_timestamp()
            and (d.leased_until is null or d.leased_until < clock_timestamp()) and d.id <> all(%(mine)s)
            and coalesce(substring(k.address from '^[^:]+://[^/?#]+'), k.address, '') <> all(%(full)s)
          order by d.next_at limit 1000) due) ranked
join notification n on n.id = ranked.id
left join channel c on c.id = n.channel
left join alert a on a.id = n.alert
left join resident r on r.key = a.resident
where ranked.place <= %(per_endpoint)s and n.state = 'pending'
  and (n.leased_until is null or n.leased_until < clock_timestamp()) and n.next_at <= clock_timestamp()
order by n.next_at limit %(most)s
for no key update of n skip locked

-- name: first_notifications
-- What the caller's own transaction has just written for an alert, with the columns of claim_notifications.
select n.id, n.alert, n.type, n.step, n.created_at, n.attempts, n.body, n.contact, n.channel_kind,
    c.id as channel, c.address, c.secret,
    case when c.previous_secret_until > clock_timestamp() then c.previous_secret end as previous_secret,
    c.disabled_reason, a.state as alert_state, a.kind, a.severity, a.device_id, a.area, a.raised_at, a.delayed_s, a.lat, a.lon,
    a.accuracy, a.position_at, a.reason_code, a.reason_zh, a.reason_en, r.id as resident_id, r.name as resident_name,
    case when n.body is null and n.channel_kind <> 'webhook' then letter_facts(n.contact, a.area, a.resident) end as facts
from notification n
join channel c on c.id = n.channel
join alert a on a.id = n.alert
left join resident r on r.key = a.resident
where n.alert = %(alert)s and n.state = 'pending' and n.channel_kind = any(%(kinds)s) and n.next_at <= clock_timestamp()

-- name: lease
-- The body is fixed with the first lease, before anything goes out.
update notification n set leased_until = clock_timestamp() + make_interval(secs => %(lease_s)s), body = w.body
from unnest(%(ids)s::uuid[], %(bodies)s::text[]) as w (id, body) where n.id = w.id

-- name: give_up
-- Without an attempt: nobody needs it any more (dropped), or there is nowhere to send it (dead).
update notification set state = %(state)s, leased_until = null, last_error = %(error)s where id = %(id)s and state = 'pending'

-- name: next_due_in
-- Seconds until the next notification may be sent; NULL: none is waiting.
select extract(epoch from min(greatest(next_at, coalesce(leased_until, next_at))) - clock_timestamp())::float8 from notification
where state = 'pending' and channel_kind = any(%(kinds)s) and id <> all(%(mine)s)

-- name: hold_alert
-- Before a notification's row is touched, as every answer does: in one order, so that the two never wait for each other.
select from alert where id = %(alert)s for key share

-- name: insert_attempt
insert into attempt (notification, took_ms, outcome, status, error)
values (%(id)s, %(took_ms)s, %(outcome)s, %(status)s, %(error)s)

-- name: delivered
-- Even where it was dropped while on its way: it did arrive.
update notification set state = 'delivered', delivered_at = clock_timestamp(), attempts = attempts + 1, leased_until = null,
    last_error = null
where id = %(id)s and state in ('pending', 'dropped')

-- name: not_delivered
-- Again later, for a day after it was written, or sent again by somebody; then a person must look. Returns the state it is in now.
update notification set attempts = attempts + 1, leased_until = null, last_error = %(error)s,
    not_before = clock_timestamp() + make_interval(secs => %(retry_after_s)s),
    next_at = clock_timestamp() + make_interval(secs => greatest(%(delay_s)s, %(retry_after_s)s)),
    state = case when state <> 'pending' then state
                 when %(for_good)s or coalesce(replayed_at, created_at) < clock_timestamp() - interval '24 hours' then 'dead'
                 else 'pending' end
where id = %(id)s
returning state

-- name: next_channel
-- The contact's next channel takes over, if the alert still needs it.
insert into notification (alert, type, step, round, channel_kind, channel, contact)
select n.alert, n.type, n.step, n.round, k.kind, k.id, n.contact
from notification n join channel c on c.id = n.channel
join alert a on a.id = n.alert
cross join lateral (
    select id, kind from channel where contact = n.contact and rank > c.rank and disabled_at is null and kind = any(%(kinds)s)
    order by rank limit 1) k
where n.id = %(id)s and (a.state = 'open' or n.type not in ('alert.opened', 'alert.escalated'))
on conflict do nothing
returning id

-- name: disable_channel
update channel set disabled_at = clock_timestamp(), disabled_reason = %(reason)s where id = %(channel)s and disabled_at is null
returning contact

-- name: ring_device
-- A contact's own device, as a channel. No row: it is not registered, revoked, or known to be offline.
insert into command (device, name, args, expires_at, created_by, alert)
select d.key, %(name)s, %(args)s, clock_timestamp() + make_interval(secs => %(expires_s)s), 'system', n.alert
from device d left join notification n on n.id = %(notification)s
where d.id = %(device)s and d.revoked_at is null and d.state <> 'offline'
returning id

-- name: device_answer
-- No row: it has not answered yet.
select ok from command where id = %(id)s and replied_at is not null

-- name: claim_commands
-- Those due, the longest waiting first. What a device has not answered is not sent again while it is known to be offline: the
-- broker would keep every one for it.
update command set leased_until = clock_timestamp() + interval '30 seconds', attempts = attempts + 1
where id in (select id from command where next_at <= clock_timestamp() and expires_at > clock_timestamp()
               and (leased_until is null or leased_until < clock_timestamp())
               and (sent_at is null or (select state from device where key = command.device) <> 'offline')
             order by next_at limit 100 for update skip locked)
returning id, device, name, args, expires_at, alert, attempts, sent_at is null as first,
    (select id from device where key = command.device) as device_id,
    (select area from device where key = command.device) as area

-- name: command_sent
-- Again after %(again_s)s seconds, unless the device answers first.
update command set sent_at = coalesce(sent_at, clock_timestamp()), leased_until = null,
    next_at = clock_timestamp() + make_interval(secs => %(again_s)s)
where id = %(id)s and replied_at is null

-- name: command_not_sent
update command set leased_until = null, next_at = clock_timestamp() + interval '2 seconds' where id = %(id)s and replied_at is null

-- name: expired_commands
-- Those whose time is over and that nobody has noted yet.
select id, alert, name, attempts, (select id from device where key = command.device) as device_id from command
where next_at is not null and expires_at <= clock_timestamp() order by next_at limit 100

-- name: expire_command
-- Nobody waits for it any more; no row: it was answered, or noted meanwhile.
update command set next_at = null, leased_until = null
where id = %(id)s and next_at is not null and expires_at <= clock_timestamp() returning id

-- The log's proof.

-- name: log_lines
select id, chain, place, log_line(log) as line, salt || convert_to(detail::text, 'UTF8') as detail, detail_hash, hash
from log order by chain, place

-- name: log_heads
select chain, place, hash from log_chain where place > 0

-- name: log_seals
select number, first_id, last_id, rows, digest, seal from log_seal order by number

-- name: log_hashes
select hash from log where id > %(after_id)s and id <= %(last_id)s order by id

-- name: log_to_seal
-- The next seal's number, the seal before, up to which id that reaches, and up to which this one would: NULL where there is
-- nothing old enough or the last seal is of today. By `at` of the row, for no transaction lasts as long as `after_s`.
select coalesce(s.number, 0) + 1, coalesce(s.seal, ''::bytea), coalesce(s.last_id, 0), (
    select max(id) from log
    where id > coalesce(s.last_id, 0) and at < clock_timestamp() - make_interval(secs => %(after_s)s)
      and (s.sealed_at is null or (s.sealed_at at time zone 'UTC')::date < (clock_timestamp() at time zone 'UTC')::date))
from (select 1) one left join (select * from log_seal order by number desc limit 1) s on true

-- name: insert_seal
insert into log_seal (number, first_id, last_id, rows, digest, seal)
values (%(number)s, %(first_id)s, %(last_id)s, %(rows)s, %(digest)s, %(seal)s)
