-- Import: each statement states one entry and returns a row where it changed something (`added` or not), none where it
-- was so already. Export: one statement per kind, in the order of the file.

-- name: put_area
insert into area (code, parent, level, name_zh, name_en, timezone)
values (%(code)s, %(parent)s, %(level)s, %(name_zh)s, %(name_en)s, %(timezone)s)
on conflict (code) do update
set parent = excluded.parent, level = excluded.level, name_zh = excluded.name_zh, name_en = excluded.name_en,
    timezone = excluded.timezone
where (area.parent, area.level, area.name_zh, area.name_en, area.timezone)
    is distinct from (excluded.parent, excluded.level, excluded.name_zh, excluded.name_en, excluded.timezone)
returning xmax = 0 as added

-- name: put_resident
insert into resident (id, card, area, name, birth_date, sex, phone, address, lat, lon, language, conditions)
values (%(id)s, %(card)s, %(area)s, %(name)s, %(birth_date)s, %(sex)s, %(phone)s, %(address)s, %(lat)s, %(lon)s,
        %(language)s, %(conditions)s)
on conflict (id) do update
set card = excluded.card, area = excluded.area, name = excluded.name, birth_date = excluded.birth_date, sex = excluded.sex,
    phone = excluded.phone, address = excluded.address, lat = excluded.lat, lon = excluded.lon,
    language = excluded.language, conditions = excluded.conditions
where (resident.card, resident.area, resident.name, resident.birth_date, resident.sex, resident.phone, resident.address,
       resident.lat, resident.lon, resident.language, resident.conditions)
    is distinct from (excluded.card, excluded.area, excluded.name, excluded.birth_date, excluded.sex, excluded.phone,
       excluded.address, excluded.lat, excluded.lon, excluded.language, excluded.conditions)
returning xmax = 0 as added

-- name: put_contact
insert into contact (id, name, role, area, phone, language, quiet_from, quiet_to, watch_group, lat, lon, services,
        accept_within_s, done_within_s)
values (%(id)s, %(name)s, %(role)s, %(area)s, %(phone)s, %(language)s, %(quiet_from)s, %(quiet_to)s, %(watch_group)s, %(lat)s,
        %(lon)s, %(services)s, %(accept_within_s)s, %(done_within_s)s)
on conflict (id) do update
set name = excluded.name, role = excluded.role, area = excluded.area, phone = excluded.phone, language = excluded.language,
    quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to, watch_group = excluded.watch_group, lat = excluded.lat,
    lon = excluded.lon, services = excluded.services, accept_within_s = excluded.accept_within_s,
    done_within_s = excluded.done_within_s
where (contact.name, contact.role, contact.area, contact.phone, contact.language, contact.quiet_from, contact.quiet_to,
       contact.watch_group, contact.lat, contact.lon, contact.services, contact.accept_within_s, contact.done_within_s)
    is distinct from (excluded.name, excluded.role, excluded.area, excluded.phone, excluded.language, excluded.quiet_from,
       excluded.quiet_to, excluded.watch_group, excluded.lat, excluded.lon, excluded.services, excluded.accept_within_s,
       excluded.done_within_s)
returning xmax = 0 as added

-- name: channels_of
select rank, kind, address, secret from channel where contact = %(contact)s order by rank

-- name: add_channel
insert into channel (contact, rank, kind, address, secret)
values (%(contact)s, %(rank)s, %(kind)s, %(address)s, %(secret)s)

-- name: change_channel
-- The old secret goes on signing beside the new one for a day. A new address or secret is a new chance for a disabled one.
update channel set kind = %(kind)s, address = %(address)s, secret = %(secret)s, disabled_at = null, disabled_reason = null,
    previous_secret = case when %(rotated)s then secret else previous_secret end,
    previous_secret_until = case when %(rotated)s then now() + interval '1 day' else previous_secret_until end
where contact = %(contact)s and rank = %(rank)s

-- name: remove_channels
delete from channel where contact = %(contact)s and rank > %(last)s returning rank

-- name: contacts_of
select contact, rank, relation from resident_contact
where resident = (select key from resident where id = %(resident)s) order by rank

-- name: remove_contacts
delete from resident_contact where resident = (select key from resident where id = %(resident)s)

-- name: add_contact
insert into resident_contact (resident, contact, rank, relation)
select key, %(contact)s, %(rank)s, %(relation)s from resident where id = %(resident)s returning resident

-- name: password_of_device
select mqtt_password from device where id = %(id)s

-- name: put_device
insert into device (id, area, kind, model, interval_s, mqtt_password)
values (%(id)s, %(area)s, %(kind)s, %(model)s, %(interval_s)s, %(mqtt_password)s)
on conflict (id) do update
set area = excluded.area, kind = excluded.kind, model = coalesce(excluded.model, device.model),
    interval_s = excluded.interval_s, mqtt_password = excluded.mqtt_password
where (device.area, device.kind, device.model, device.interval_s, device.mqtt_password)
    is distinct from (excluded.area, excluded.kind, coalesce(excluded.model, device.model), excluded.interval_s,
       excluded.mqtt_password)
returning xmax = 0 as added

-- name: worn_by
select wearing.id, resident.id from wearing join resident on resident.key = wearing.resident
where wearing.device = (select key from device where id = %(device)s) and wearing.until is null

-- name: end_wearing
update wearing set until = greatest(coalesce(%(until)s, now()), since + interval '1 millisecond') where id = %(id)s

-- name: add_wearing
insert into wearing (device, resident, since)
select device.key, resident.key, coalesce(%(since)s, now()) from device, resident
where device.id = %(device)s and resident.id = %(resident)s returning id

-- name: put_rota
insert into rota (id, area, name, timezone) values (%(id)s, %(area)s, %(name)s, %(timezone)s)
on conflict (id) do update set area = excluded.area, name = excluded.name, timezone = excluded.timezone
where (rota.area, rota.name, rota.timezone) is distinct from (excluded.area, excluded.name, excluded.timezone)
returning xmax = 0 as added

-- name: shifts_of
select contact, days, from_minute, to_minute, starts, ends from rota_shift where rota = %(rota)s order by n

-- name: remove_shifts
delete from rota_shift where rota = %(rota)s

-- name: add_shift
insert into rota_shift (rota, n, contact, days, from_minute, to_minute, starts, ends)
values (%(rota)s, %(n)s, %(contact)s, %(days)s, %(from_minute)s, %(to_minute)s, %(starts)s, %(ends)s)

-- name: put_policy
insert into policy (id, area, resident, kinds, repeat_s, answer_s)
values (%(id)s, %(area)s, (select key from resident where id = %(resident)s), %(kinds)s, %(repeat_s)s, %(answer_s)s)
on conflict (id) do update
set area = excluded.area, resident = excluded.resident, kinds = excluded.kinds, repeat_s = excluded.repeat_s,
    answer_s = excluded.answer_s
where (policy.area, policy.resident, policy.kinds, policy.repeat_s, policy.answer_s)
    is distinct from (excluded.area, excluded.resident, excluded.kinds, excluded.repeat_s, excluded.answer_s)
returning xmax = 0 as added

-- name: targets_of
select step, delay_s, contact_rank, contact, coalesce(operators, false) as operators, role, rota, nearest, radius_m, provider,
    area_up
from policy_step left join step_target using (policy, step) where policy = %(policy)s order by step, n

-- name: remove_steps
delete from policy_step where policy = %(policy)s

-- name: add_step
insert into policy_step (policy, step, delay_s) values (%(policy)s, %(step)s, %(delay_s)s)

-- name: add_target
insert into step_target (policy, step, n, contact, contact_rank, operators, role, rota, nearest, radius_m, provider, area_up)
values (%(policy)s, %(step)s, %(n)s, %(contact)s, %(contact_rank)s, %(operators)s, %(role)s, %(rota)s, %(nearest)s, %(radius_m)s,
        %(provider)s, %(area_up)s)

-- name: last_step_reaches
-- Whether the last step of a policy can reach anybody: those it names, by a channel; whom it does not name, perhaps.
select exists (
    select from step_target t join policy p on p.id = t.policy
    where t.policy = %(policy)s and t.step = (select max(step) from policy_step where policy = %(policy)s)
      and case when t.contact is not null then exists (select from channel c where c.contact = t.contact)
               when t.rota is not null then exists (select from rota_shift s join channel c using (contact) where s.rota = t.rota)
               when t.contact_rank is not null and p.resident is not null then exists (
                   select from resident_contact rc join channel c using (contact)
                   where rc.resident = p.resident and rc.rank = t.contact_rank)
               else true end)

-- name: password_of_operator
select password_hash from operator where login = %(login)s

-- name: put_operator
insert into operator (login, name, role, area, language, password_hash)
values (%(login)s, %(name)s, %(role)s, %(area)s, %(language)s, %(password_hash)s)
on conflict (login) do update
set name = excluded.name, role = excluded.role, area = excluded.area, language = excluded.language,
    password_hash = excluded.password_hash
where (operator.name, operator.role, operator.area, operator.language, operator.password_hash)
    is distinct from (excluded.name, excluded.role, excluded.area, excluded.language, excluded.password_hash)
returning xmax = 0 as added

-- name: record
insert into log (actor, action, detail) values ('system', %(action)s, %(detail)s)

-- name: areas
with recursive tree as (
    select code, array[code] as path from area where parent is null
    union all
    select area.code, tree.path || area.code from area join tree on area.parent = tree.code)
select code, parent, level, name_zh, name_en, timezone from area join tree using (code) order by path

-- name: residents
select id, card, area, name, birth_date, sex, phone, address, lat, lon, language, conditions from resident order by id

-- name: contacts
select id, name, role, area, phone, language, quiet_from, quiet_to, watch_group, lat, lon, services,
    accept_within_s::float8 as accept_within_s, done_within_s::float8 as done_within_s
from contact order by id

-- name: channels
select contact, kind, address, secret from channel order by contact, rank

-- name: resident_contacts
select resident.id as resident, contact, rank, relation
from resident_contact join resident on resident.key = resident_contact.resident order by resident.id, rank

-- name: devices
select device.id, device.area, device.kind, model, interval_s, resident.id as wearer, wearing.since, mqtt_password as password
from device
left join wearing on wearing.device = device.key and wearing.until is null
left join resident on resident.key = wearing.resident
where device.revoked_at is null order by device.id

-- name: rotas
select id, area, name, timezone from rota order by id

-- name: policies
select policy.id, policy.area, resident.id as resident, kinds, repeat_s, answer_s
from policy left join resident on resident.key = policy.resident order by policy.id

-- name: operators
select login, name, role, area, language, password_hash as password from operator where disabled_at is null order by login

-- name: mqtt_passwords
-- What the broker's password file holds. A ':' would end the name there: such devices have client certificates.
select id, mqtt_password from device
where mqtt_password is not null and revoked_at is null and position(':' in id) = 0

-- name: set_mqtt_password
update device set mqtt_password = %(password)s where id = %(id)s returning id

-- name: resident_key
select key from resident where id = %(id)s

-- name: resident_home
select key, area from resident where id = %(id)s

-- name: places_of
-- As Python sorts them: by code point, whatever the database's collation.
select name, watch, lat, lon, radius_m::double precision, minute from place
where resident = (select key from resident where id = %(resident)s) order by name collate "C", watch collate "C"

-- name: remove_places
delete from place where resident = (select key from resident where id = %(resident)s)

-- name: add_place
insert into place (resident, name, watch, lat, lon, radius_m, minute)
select key, %(name)s, %(watch)s, %(lat)s, %(lon)s, %(radius_m)s, %(minute)s from resident where id = %(resident)s

-- name: put_order
insert into resident_order (resident, what, ordered_by, ordered_at, ended_at)
select key, %(what)s, %(by)s, %(at)s, %(until)s from resident where id = %(resident)s
on conflict (resident, what, ordered_at) do update set ordered_by = excluded.ordered_by, ended_at = excluded.ended_at
where (resident_order.ordered_by, resident_order.ended_at) is distinct from (excluded.ordered_by, excluded.ended_at)
returning xmax = 0 as added

-- name: override_whose
select 1 from area where code = %(area)s union all select 1 from resident where id = %(resident)s

-- name: put_override
insert into rule_override (area, resident, rule, field, value, set_by)
values (%(area)s, (select key from resident where id = %(resident)s), %(rule)s, %(field)s, %(value)s, %(by)s)
on conflict (area, resident, rule, field) do update set value = excluded.value, set_by = excluded.set_by
where rule_override.value is distinct from excluded.value
returning xmax = 0 as added

-- name: put_drill
insert into drill_schedule (area, day, begins, ends, per_minute, answer_s)
values (%(area)s, %(day)s, %(begins)s::time, %(ends)s::time, %(per_minute)s, %(answer_hours)s * 3600)
on conflict (area) do update
set day = excluded.day, begins = excluded.begins, ends = excluded.ends, per_minute = excluded.per_minute, answer_s = excluded.answer_s
where (drill_schedule.day, drill_schedule.begins, drill_schedule.ends, drill_schedule.per_minute, drill_schedule.answer_s)
    is distinct from (excluded.day, excluded.begins, excluded.ends, excluded.per_minute, excluded.answer_s)
returning xmax = 0 as added

-- name: remove_drill
delete from drill_schedule where area = %(area)s returning area

-- name: drills
select area, day, to_char(begins, 'HH24:MI') as begins, to_char(ends, 'HH24:MI') as ends, per_minute,
    answer_s::double precision / 3600 as answer_hours
from drill_schedule order by area

-- name: remove_override
delete from rule_override
where area is not distinct from %(area)s and rule = %(rule)s and field = %(field)s
    and resident is not distinct from (select key from resident where id = %(resident)s)

-- name: all_overrides
select o.area, r.id as resident, o.rule, o.field, o.value, r.area as resident_area, coalesce(o.resident, 0) as resident_key
from rule_override o left join resident r on r.key = o.resident
order by o.area, r.id, o.rule, o.field

-- name: area_tree
select code, parent, timezone as zone from area

-- name: places
select resident.id as resident, place.name, watch, place.lat, place.lon, radius_m, minute
from place join resident on resident.key = place.resident order by resident.id, place.name, watch

-- name: orders
select resident.id as resident, what, ordered_by as by, ordered_at as at, ended_at as until
from resident_order join resident on resident.key = resident_order.resident order by resident.id, what, ordered_at

-- name: overrides
select rule_override.area, resident.id as resident, rule, field, value, set_by as by
from rule_override left join resident on resident.key = rule_override.resident
order by rule_override.area, resident.id, rule, field
