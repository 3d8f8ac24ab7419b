-- Operators, sessions, tokens.

-- name: operator_by_login
select id, login, name, password_hash, language from operator where login = %(login)s and disabled_at is null

-- name: add_operator
insert into operator (login, name, role, area, language, password_hash)
values (%(login)s, %(name)s, %(role)s, %(area)s, %(language)s, %(password_hash)s)
on conflict (login) do nothing returning id

-- name: set_password
-- A new password ends the sessions that the old one began.
with changed as (update operator set password_hash = %(password_hash)s where login = %(login)s returning id),
ended as (delete from operator_session where operator in (select id from changed))
select id from changed

-- name: disable_operator
update operator set disabled_at = clock_timestamp() where login = %(login)s and disabled_at is null returning id

-- name: add_token
insert into api_token (token_hash, operator, name, scopes, expires_at)
select %(token_hash)s, id, %(name)s, %(scopes)s, now() + make_interval(days => %(days)s)
from operator where login = %(login)s and disabled_at is null returning expires_at

-- name: begin_session
with over as (delete from operator_session where expires_at < now())
insert into operator_session (token_hash, operator, csrf, expires_at)
values (%(token_hash)s, %(operator)s, %(csrf)s, now() + make_interval(secs => %(seconds)s))

-- name: end_session
delete from operator_session where token_hash = %(token_hash)s

-- name: session_viewer
select o.id as operator, o.login, o.name, o.role, o.area, a.name_zh as area_zh, a.name_en as area_en,
    a.parent is null as at_root, a.timezone, o.language, s.csrf
from operator_session s join operator o on o.id = s.operator join area a on a.code = o.area
where s.token_hash = %(token_hash)s and s.expires_at > now() and o.disabled_at is null

-- name: token_viewer
select o.id as operator, o.login, o.name, o.role, o.area, a.name_zh as area_zh, a.name_en as area_en,
    a.parent is null as at_root, a.timezone, o.language, t.name as token_name, t.scopes
from api_token t join operator o on o.id = t.operator join area a on a.code = o.area
where t.token_hash = %(token_hash)s and t.expires_at > now() and t.revoked_at is null and o.disabled_at is null

-- name: areas_within
select area_within(%(area)s)

-- name: record
insert into log (alert, actor, action, detail) values (%(alert)s, %(actor)s, %(action)s, %(detail)s)

-- Alerts. Arealess ones belong to the operators of the root.

-- name: live_alerts
select * from alert_shown
where state in ('open', 'acknowledged') and (area in (select area_within(%(area)s)) or (area is null and %(at_root)s))
  -- Drills are in their report, the canary's presses in its figures: neither is work.
  and reason_code <> 'drill' and area is distinct from 'canary'
order by state desc, array_position(array['critical', 'urgent', 'warning', 'info'], severity), opened_at
limit %(most)s

-- name: closed_alerts
select * from alert_shown
where state in ('resolved', 'cancelled') and closed_at > now() - interval '24 hours'
  and (area in (select area_within(%(area)s)) or (area is null and %(at_root)s))
  and reason_code <> 'drill' and area is distinct from 'canary'
order by closed_at desc limit %(most)s

-- name: alert
select * from alert_shown
where id = %(id)s and (area in (select area_within(%(area)s)) or (area is null and %(at_root)s))

-- name: linked_alert
-- A contact's own link: only while the notification it was sent with is theirs.
select * from alert_shown where id = %(id)s
  and exists (select from notification where id = %(notification)s and alert = %(id)s and contact = %(contact)s)

-- name: linked_contact
select c.id, c.name, c.language, coalesce(a.timezone, 'Asia/Shanghai') as timezone
from contact c left join area a on a.code = coalesce(c.area, %(area)s) where c.id = %(contact)s

-- name: declined
select id from log where alert = %(id)s and actor = %(actor)s and action = 'alert.declined'
  and (detail ->> 'round')::int = %(round)s limit 1

-- name: page_of_alerts
select * from alert_shown
where number < %(before)s and (%(states)s::text[] is null or state = any(%(states)s)) and area is distinct from 'canary'
  and (area in (select area_within(%(area)s)) or (area is null and %(at_root)s))
order by number desc limit %(most)s

-- name: resident_alerts
select * from alert_shown
where resident_id = %(resident)s and (area in (select area_within(%(area)s)) or (area is null and %(at_root)s))
order by opened_at desc limit %(most)s

-- name: alert_triggers
select at, rule, version, severity, state, evidence, zh, en, device_id from trigger where alert = %(id)s order by at, id limit 200

-- name: alert_log
select id, at, actor, actor_name(actor) as name, action, detail from log
where alert = %(id)s and action not in ('alert.viewed') order by id limit 1000

-- name: alert_notifications
select n.id, n.created_at, n.type, n.step, n.round, n.channel_kind, n.state, n.last_error, n.next_at, c.name,
    coalesce((select jsonb_agg(jsonb_build_object('at', t.at, 'outcome', t.outcome, 'status', t.status, 'error', t.error,
        'took_ms', t.took_ms) order by t.id) from attempt t where t.notification = n.id), '[]') as attempts
from notification n left join contact c on c.id = n.contact
where n.alert = %(id)s order by n.created_at limit 500

-- name: confirm_console
-- The page of an operator who is responsible has it: delivered, once, with its attempt and its line in the log.
with confirmed as (
    update notification n set state = 'delivered', delivered_at = clock_timestamp(), attempts = n.attempts + 1, leased_until = null
    from alert a
    where a.id = n.alert and n.alert = any(%(alerts)s) and n.channel_kind = 'console' and n.state = 'pending'
      and (n.area in (select area_within(%(area)s)) or (n.area is null and %(at_root)s))
    returning n.id, n.alert, n.created_at),
tried as (
    insert into attempt (notification, took_ms, outcome)
    select id, least(2147483647, extract(epoch from clock_timestamp() - created_at) * 1000)::int, 'delivered' from confirmed)
insert into log (alert, actor, action, detail)
select alert, %(actor)s, 'notification.delivered', jsonb_build_object('notification', id, 'channel', 'console') from confirmed
returning alert

-- name: last_announcement
select coalesce(max(id), 0) as last from log

-- name: announcements
-- What changed about alerts since `after`; looks are no change, drills and the canary no news.
select l.id, l.alert, a.area, l.action, a.kind, a.severity, a.state
from log l join alert a on a.id = l.alert
where l.id > %(after)s and l.action <> 'alert.viewed' and a.reason_code <> 'drill' and a.area is distinct from 'canary'
order by l.id limit %(most)s

-- Residents.

-- name: residents
select r.id, r.name, r.birth_date, r.sex, r.area, area_path(r.area, 'zh') as area_zh, area_path(r.area, 'en') as area_en,
    r.address,
    (select count(*) from alert a where a.resident = r.key and a.state in ('open', 'acknowledged')) as live_alerts
from resident r
where r.area in (select area_within(%(area)s)) and r.id > %(after)s
  and (%(search)s = '' or r.name ilike '%%' || %(pattern)s || '%%' or r.id ilike %(pattern)s || '%%' or r.card = %(search)s)
order by r.id limit %(most)s

-- name: resident
select r.key, r.id, r.card, r.name, r.birth_date, r.sex, r.phone, r.address, r.lat, r.lon, r.language, r.conditions, r.area,
    area_path(r.area, 'zh') as area_zh, area_path(r.area, 'en') as area_en, a.timezone
from resident r join area a on a.code = r.area
where r.id = %(id)s and r.area in (select area_within(%(area)s))

-- name: resident_contacts
select c.id, c.name, c.role, c.phone, rc.rank, rc.relation,
    (select count(*) from channel h where h.contact = c.id and h.disabled_at is null) as channels
from resident_contact rc join contact c on c.id = rc.contact where rc.resident = %(key)s order by rc.rank

-- name: resident_devices
select d.id, d.kind, d.model, d.state, d.state_at, d.interval_s, w.since, seen.ts as last_sample, seen.battery,
    (select coalesce(sum(m.missing), 0)::bigint from device_missing m where m.device = d.key) as missing
from wearing w join device d on d.key = w.device
left join lateral (select max(l.ts) as ts, (array_agg(l.battery order by l.battery_at desc nulls last))[1] as battery
                   from latest l where l.device = d.key) seen on true
where w.resident = %(key)s and w.until is null order by d.id

-- name: resident_latest
-- The latest reading of each metric, whichever device measured it.
select distinct on (m.metric) m.metric, m.value, m.at, d.id as device
from latest l join device d on d.key = l.device
cross join lateral (values
    ('heart_rate', l.heart_rate, l.heart_rate_at),
    ('spo2', l.spo2, l.spo2_at),
    ('respiratory_rate', l.respiratory_rate, l.respiratory_rate_at),
    ('systolic', l.systolic, l.systolic_at),
    ('diastolic', l.diastolic, l.diastolic_at),
    ('temperature', l.temperature, l.temperature_at),
    ('glucose', l.glucose, l.glucose_at),
    ('weight', l.weight, l.weight_at),
    ('height', l.height, l.height_at),
    ('steps', l.steps, l.steps_at),
    ('activity', l.activity, l.activity_at)) m (metric, value, at)
where l.resident = %(key)s and m.value is not null
order by m.metric, m.at desc

-- name: resident_position
-- Where a device of theirs was last.
select l.position_at as ts, l.lat, l.lon, l.accuracy, l.fix, d.id as device
from latest l join device d on d.key = l.device
where l.resident = %(key)s and l.position_at is not null
order by l.position_at desc limit 1

-- name: resident_samples
-- The newest where there are too many.
select s.ts, d.id as device, d.kind, d.interval_s, s.flags, s.heart_rate, s.spo2, s.respiratory_rate, s.systolic, s.diastolic,
    s.temperature, s.glucose, s.weight, s.height, s.steps, s.activity, s.presence, s.room_temperature, s.battery, s.signal,
    s.lat, s.lon, s.accuracy, s.speed, s.fix
from resident_samples(%(key)s, %(from)s, %(to)s) s join device d on d.key = s.device
order by s.ts desc, d.id, s.part desc limit %(most)s

-- name: resident_rolled_up
-- Hours of one person, or days, whatever devices measured it; who keeps them makes no difference here.
select bucket,
    min(heart_rate_min) as heart_rate_min, max(heart_rate_max) as heart_rate_max, sum(heart_rate_sum) / nullif(sum(heart_rate_count), 0) as heart_rate_mean,
    min(spo2_min) as spo2_min, max(spo2_max) as spo2_max, sum(spo2_sum) / nullif(sum(spo2_count), 0) as spo2_mean,
    min(respiratory_rate_min) as respiratory_rate_min, max(respiratory_rate_max) as respiratory_rate_max, sum(respiratory_rate_sum) / nullif(sum(respiratory_rate_count), 0) as respiratory_rate_mean,
    min(systolic_min) as systolic_min, max(systolic_max) as systolic_max, sum(systolic_sum) / nullif(sum(systolic_count), 0) as systolic_mean,
    min(diastolic_min) as diastolic_min, max(diastolic_max) as diastolic_max, sum(diastolic_sum) / nullif(sum(diastolic_count), 0) as diastolic_mean,
    min(temperature_min) as temperature_min, max(temperature_max) as temperature_max, sum(temperature_sum) / nullif(sum(temperature_count), 0) as temperature_mean,
    min(glucose_min) as glucose_min, max(glucose_max) as glucose_max, sum(glucose_sum) / nullif(sum(glucose_count), 0) as glucose_mean,
    min(weight_min) as weight_min, max(weight_max) as weight_max, sum(weight_sum) / nullif(sum(weight_count), 0) as weight_mean
from (select * from sample_hourly where not %(days)s union all select * from sample_daily where %(days)s) rolled_up
where resident = %(key)s and bucket >= %(from)s and bucket < %(to)s group by bucket order by bucket

-- Devices and what could not be kept.

-- name: devices
select d.id, d.area, d.kind, d.model, d.firmware, d.interval_s, d.state, d.state_at, d.registered_at, d.revoked_at,
    r.id as resident_id, (select max(l.received) from latest l where l.device = d.key) as last_seen,
    (select coalesce(sum(m.missing), 0)::bigint from device_missing m where m.device = d.key) as missing
from device d left join wearing w on w.device = d.key and w.until is null left join resident r on r.key = w.resident
where d.area in (select area_within(%(area)s)) and d.id > %(after)s order by d.id limit %(most)s

-- name: unknown_devices
select u.device, u.area, area_path(u.area, 'zh') as area_zh, area_path(u.area, 'en') as area_en, u.first_seen, u.last_seen, u.messages
from unknown_device u
where (u.area in (select area_within(%(area)s)) or (%(at_root)s and not exists (select from area where code = u.area)))
  and (%(device)s::text is null or u.device = %(device)s)
order by u.last_seen desc limit %(most)s

-- name: adopt_device
-- Nothing where somebody registered it meanwhile, or it did not speak in this area.
with adopted as (
    insert into device (id, area, kind, interval_s)
    select u.device, u.area, %(kind)s, %(interval_s)s from unknown_device u
    where u.device = %(device)s and u.area = %(device_area)s and u.area in (select area_within(%(area)s))
    on conflict (id) do nothing returning key, id),
known as (delete from unknown_device where device in (select id from adopted))
select key from adopted

-- name: wear
insert into wearing (device, resident) values (%(device)s, %(resident)s)

-- name: quarantine
select id, received, last_received, times, lane, topic, payload, reason, detail, device, area, replayed_at
from quarantine
where (area in (select area_within(%(area)s))
       or (%(at_root)s and (area is null or not exists (select from area known where known.code = quarantine.area))))
  and id < %(before)s
order by id desc limit %(most)s

-- Letters that nobody got.

-- name: dead_letters
select * from dead_letter
where area in (select area_within(%(area)s)) or (%(at_root)s and area is null)
order by created_at desc limit %(most)s

-- name: replay_letter
select notification_replay(id, %(actor)s, %(how)s) as outcome from dead_letter
where id = %(letter)s and (area in (select area_within(%(area)s)) or (%(at_root)s and area is null))

-- name: dismiss_letter
select notification_dismiss(id, %(actor)s, %(how)s, %(reason)s) as outcome from dead_letter
where id = %(letter)s and (area in (select area_within(%(area)s)) or (%(at_root)s and area is null))

-- Contacts.

-- name: contact_within
-- Theirs by the contact's own area, or by a resident of the area who has this contact.
select c.id from contact c
where c.id = %(id)s and (c.area in (select area_within(%(area)s)) or exists (
    select from resident_contact rc join resident r on r.key = rc.resident
    where rc.contact = c.id and r.area in (select area_within(%(area)s))))

-- name: test_contact
insert into notification (type, channel_kind, channel, contact)
select 'test', kind, id, contact from channel where contact = %(id)s and disabled_at is null order by rank
returning id, channel_kind

-- What devices are asked. A device is theirs by its own area, or by who wears it.

-- name: hold_alert
select from alert where id = %(alert)s for no key update

-- name: device_to_ask
select d.key from device d
where d.id = %(device)s and d.revoked_at is null and (d.area in (select area_within(%(area)s)) or exists (
    select from wearing w join resident r on r.key = w.resident
    where w.device = d.key and w.until is null and r.area in (select area_within(%(area)s))))

-- name: ask_device
-- No row: the same request was made before.
insert into command (device, name, args, expires_at, created_by, request_key, alert)
values (%(key)s, %(name)s, %(args)s, clock_timestamp() + make_interval(secs => %(expires_s)s), %(actor)s, %(request_key)s, %(alert)s)
on conflict (device, created_by, request_key) where request_key is not null do nothing returning id

-- name: asked_before
select id, name, args, alert from command where device = %(key)s and created_by = %(actor)s and request_key = %(request_key)s

-- name: asked_of_resident
select c.id, c.created_at, c.name, c.args, c.expires_at, c.created_by, c.created_name, c.alert, c.attempts, c.sent_at, c.replied_at,
    c.result, c.error, c.device_id, c.state
from command_shown c join wearing w on w.device = c.device and w.until is null
where w.resident = %(key)s and c.created_at >= w.since order by c.created_at desc limit %(most)s

-- name: asked_of_device
select c.id, c.created_at, c.name, c.args, c.expires_at, c.created_by, c.created_name, c.alert, c.attempts, c.sent_at, c.replied_at,
    c.result, c.error, c.device_id, c.state
from command_shown c join device d on d.key = c.device
where d.id = %(device)s and (d.area in (select area_within(%(area)s)) or exists (
    select from wearing w join resident r on r.key = w.resident
    where w.device = d.key and w.until is null and r.area in (select area_within(%(area)s))))
  and (%(after)s::uuid is null or (c.created_at, c.id) < (select created_at, id from command where id = %(after)s))
order by c.created_at desc, c.id desc limit %(most)s

-- name: asked
select c.id, c.created_at, c.name, c.args, c.expires_at, c.created_by, c.created_name, c.alert, c.attempts, c.sent_at, c.replied_at,
    c.result, c.error, c.device_id, c.state
from command_shown c join device d on d.key = c.device
where c.id = %(id)s and d.id = %(device)s and (d.area in (select area_within(%(area)s)) or exists (
    select from wearing w join resident r on r.key = w.resident
    where w.device = d.key and w.until is null and r.area in (select area_within(%(area)s))))

-- How right the rules were.

-- name: rule_precision
select * from rule_precision(%(area)s, %(at_root)s, %(since)s)

-- The proof of one case.

-- name: chain_head
select chain, place, hash from log_chain where chain = %(chain)s

-- name: chain_lines
select id, chain, place, log_line(log) as line, salt || convert_to(detail::text, 'UTF8') as detail, detail_hash, hash
from log where chain = %(chain)s and place <= %(most)s order by place

-- name: last_seal
select number, sealed_at, last_id from log_seal order by number desc limit 1
