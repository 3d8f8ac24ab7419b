-- name: person
select key, id, card, name, phone, address from resident where id = %(id)s

-- name: hold_person
select key from resident where key = %(key)s for update

-- name: devices_of_person
-- Whatever measured them: worn, or a kiosk.
select device from wearing where resident = %(key)s
union select device from latest where resident = %(key)s
union select device from event where resident = %(key)s and device is not null

-- name: devices_worn
select device from wearing where resident = %(key)s and (until is null or until > now())

-- name: alerts_of_person
select id from alert where resident = %(key)s
union select alert from trigger where resident = %(key)s and alert is not null

-- name: contacts_of_person
-- Those who are nobody else's: nobody else's contact, in no step of a policy but this person's, on no rota, not there for an area.
select rc.contact from resident_contact rc join contact c on c.id = rc.contact
where rc.resident = %(key)s and not c.watch_group and c.services = '{}'
  and (c.area is null or c.role = 'family')
  and not exists (select from resident_contact o where o.contact = c.id and o.resident <> rc.resident)
  and not exists (select from rota_shift s where s.contact = c.id)
  and not exists (select from step_target t join policy p on p.id = t.policy
                  where t.contact = c.id and p.resident is distinct from rc.resident)

-- name: open_the_log
alter table log disable trigger log_is_append_only

-- name: log_details
-- Of their alerts, and whatever names them: as a whole string of its own, or (telephone, address) within one.
update log set detail = '{}', salt = null
where salt is not null and detail <> '{}' and (
    alert = any(%(alerts)s)
    or exists (select from unnest(%(whole)s::text[]) as w (text) where position(to_jsonb(w.text)::text in detail::text) > 0)
    or exists (select from unnest(%(within)s::text[]) as w (text) where position(w.text in detail::text) > 0))

-- name: close_the_log
alter table log enable trigger log_is_append_only

-- name: close_alerts
select alert_resolve(id, 'system', 'erased', 'technical', '') from alert
where id = any(%(alerts)s) and state in ('open', 'acknowledged')

-- name: stop_escalation
update escalation set next_at = null where alert = any(%(alerts)s)

-- name: notifications_to_contacts
delete from notification where contact = any(%(contacts)s)

-- name: attempts
update attempt a set error = null from notification n
where n.id = a.notification and n.alert = any(%(alerts)s) and a.error is not null

-- name: notifications
-- What was not sent yet is not sent any more.
update notification set body = null, leased_until = null,
    state = case when state = 'pending' then 'dropped' else state end,
    last_error = case when state in ('pending', 'dropped') then 'erased' end
where alert = any(%(alerts)s)

-- name: alerts
-- What is left counts for how fast people came, and says nothing of whom.
update alert set resident = null, device = null, device_id = null, metric = null, dedup_key = 'erased:' || id,
    reason_zh = '（已删除）', reason_en = '(erased)', lat = null, lon = null, accuracy = null, position_at = null,
    acknowledged_note = null, closed_note = null, confirm_until = null,
    acknowledged_by = case when acknowledged_by = any(%(actors)s) then 'contact:erased' else acknowledged_by end,
    arrived_by = case when arrived_by = any(%(actors)s) then 'contact:erased' else arrived_by end,
    confirmed_by = case when confirmed_by = any(%(actors)s) then 'contact:erased' else confirmed_by end,
    closed_by = case when closed_by = any(%(actors)s) then 'contact:erased' else closed_by end
where id = any(%(alerts)s)

-- name: triggers
-- One that waits for its alert does not get it any more.
update trigger set resident = null, device = null, device_id = null, metric = null, key = 'erased:' || id, evidence = '{}',
    zh = '（已删除）', en = '(erased)', handled_at = coalesce(handled_at, clock_timestamp())
where resident = %(key)s or alert = any(%(alerts)s)

-- name: events
-- Its name (device, boot, seq) stays: it may come again, and must not be news then.
update event set resident = null, "values" = '{}', position = null, service = null
where resident = %(key)s or alert = any(%(alerts)s)

-- name: commands
update command c set args = '{}', result = null, error = null
where c.alert = any(%(alerts)s)
   or exists (select from wearing w where w.resident = %(key)s and w.device = c.device
              and c.created_at >= w.since and (w.until is null or c.created_at < w.until))

-- name: drills
delete from drill_household where resident = %(key)s

-- name: quarantine
-- What their devices sent meanwhile, and what names them.
delete from quarantine q
where exists (select from wearing w join device d on d.key = w.device
              where w.resident = %(key)s and d.id = q.device
                and q.last_received >= w.since and (w.until is null or q.received < w.until))
   or exists (select from unnest(%(whole)s::text[]) as w (text)
              where position(convert_to(to_jsonb(w.text)::text, 'UTF8') in q.payload) > 0
                 or position(to_jsonb(w.text)::text in q.detail) > 0)
   or exists (select from unnest(%(within)s::text[]) as w (text) where position(convert_to(w.text, 'UTF8') in q.payload) > 0)

-- name: samples
-- By their devices (the index's first column), and those that kiosks took.
with gone as (
    delete from sample
    where (device = any(%(devices)s) and resident = %(key)s) or (resident = %(key)s and (flags & 8) <> 0)
    returning device, ts),
-- An hour that is being rolled up at this moment still has them: it is done again.
again as (
    insert into rollup_due (device, hour)
    select distinct device, date_trunc('hour', ts, 'UTC') from gone, rollup_state where kept_by = 'product'
    on conflict do nothing)
select count(*) from gone

-- name: acceleration
delete from acceleration where device = any(%(devices)s) and resident = %(key)s

-- name: rollups_kept_by_product
select to_regclass('sample_hour') is not null

-- name: rollups
delete from sample_hour where resident = %(key)s

-- name: materialized_rollups
-- Where TimescaleDB keeps the roll-ups: the tables behind them.
select materialization_hypertable_schema, materialization_hypertable_name from timescaledb_information.continuous_aggregates
where view_name in ('sample_hourly', 'sample_daily')

-- name: latest
delete from latest where resident = %(key)s

-- name: places
delete from place where resident = %(key)s

-- name: orders
delete from resident_order where resident = %(key)s

-- name: overrides
delete from rule_override where resident = %(key)s

-- name: policies
delete from policy where resident = %(key)s

-- name: contacts_links
delete from resident_contact where resident = %(key)s

-- name: contacts
delete from contact where id = any(%(contacts)s)

-- name: wearings
delete from wearing where resident = %(key)s

-- name: resident
delete from resident where key = %(key)s

-- name: kept_states
select shard, operator, part, state from rules_snapshot for update

-- name: keep_state
update rules_snapshot set state = %(state)s where shard = %(shard)s and operator = %(operator)s and part = %(part)s

-- name: record
insert into log (actor, action, detail) values ('system', 'resident.erased', %(detail)s)

-- name: services_at_work
-- Who may have something of them in hand, and write it yet.
select count(*) from pg_stat_activity where datname = current_database() and application_name like 'homecare-ingest%%'
