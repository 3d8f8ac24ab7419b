-- What ingest asks of the database. The two COPY statements name only the columns that a batch has, and are made in store.py.

-- name: stage_samples
create temp table if not exists staged_sample (like sample including defaults) on commit delete rows

-- name: stage_windows
create temp table if not exists staged_acceleration (like acceleration including defaults) on commit delete rows

-- name: keep_staged_samples
-- Those the index sample_once does not know yet.
insert into sample select * from staged_sample on conflict do nothing

-- name: complete_partial_samples
-- Part of a sample was rejected, and it comes again after a fix: what is NULL is filled in. Unless the checks have
-- changed, the same part is rejected again and there is nothing to fill in.
update sample set {fill_in}, flags = (sample.flags & ~4) | (staged.flags & 4)
from staged_sample as staged
where sample.ts between {first} and {last} and (sample.flags & 4) <> 0
  and (sample.device, sample.ts, sample.boot, sample.seq, sample.part)
    = (staged.device, staged.ts, staged.boot, staged.seq, staged.part)
  and ({missing})

-- name: keep_staged_windows
insert into acceleration select * from staged_acceleration on conflict do nothing

-- name: wrong_clock_devices
-- Every device that ever had a sample stored at its time of receipt.
select key from device where exists (select from wrong_clock_message w where w.device = device.key)

-- name: known_wrong_clock_messages
-- Which of these messages are stored at an earlier time of receipt.
select device, boot, seq from wrong_clock_message
join unnest(%(device)s::int[], %(boot)s::int[], %(seq)s::int[]) as asked (device, boot, seq) using (device, boot, seq)

-- name: add_wrong_clock_messages
insert into wrong_clock_message (device, boot, seq, received)
select * from unnest(%(device)s::int[], %(boot)s::int[], %(seq)s::int[], %(received)s::timestamptz[])
order by 1, 2, 3
on conflict do nothing

-- name: add_triggers
-- Triggers are a JSON array. Device, resident and area are as the directory has them now: who was erased is not named again.
insert into trigger (key, at, rule, version, kind, metric, severity, state, device, device_id, resident, area, evidence, zh, en)
select t.key, to_timestamp(t.at / 1000.0), t.rule, t.version, t.kind, t.metric, t.severity, t.state,
       device.key, device.id, resident.key, device.area, t.evidence, t.zh, t.en
from jsonb_to_recordset(%(triggers)s::jsonb) as t (key text, at bigint, rule text, version int, kind text, metric text,
        severity text, state text, device int, resident int, evidence jsonb, zh text, en text)
left join device on device.key = t.device
left join resident on resident.key = t.resident
on conflict (key) do nothing
returning kind, state

-- name: add_to_quarantine
insert into quarantine (received, last_received, times, lane, topic, payload, reason, detail, device, area)
values (%(received)s, %(last_received)s, %(times)s, 'telemetry', %(topic)s, %(payload)s, %(reason)s, %(detail)s, %(device)s, %(area)s)
on conflict (md5(topic), sha256(payload), reason) where replayed_at is null do update
set times = quarantine.times + excluded.times,
    last_received = greatest(quarantine.last_received, excluded.last_received)

-- name: add_unknown_devices
-- Sorted, so that two processes that meet the same ones wait for each other in one order.
insert into unknown_device (device, area, first_seen, last_seen, messages)
select * from unnest(%(device)s::text[], %(area)s::text[], %(first)s::timestamptz[], %(last)s::timestamptz[], %(messages)s::bigint[])
order by 1, 2
on conflict (device, area) do update
set last_seen = greatest(unknown_device.last_seen, excluded.last_seen),
    messages = unknown_device.messages + excluded.messages

-- name: keep_status
-- Not from an earlier start of the device nor from before what is known, and only where it says something new:
-- every change of a device is told to all processes. `state_at` is when the state became what it is.
update device
set state = %(state)s,
    state_at = case when state = %(state)s then coalesce(state_at, %(received)s) else %(received)s end,
    model = coalesce(%(model)s, model),
    firmware = coalesce(%(firmware)s, firmware),
    interval_s = coalesce(%(interval)s::real, interval_s),
    boot = coalesce(%(boot)s, boot)
where key = %(device)s
  and coalesce(%(boot)s >= boot, true)
  and coalesce(%(received)s >= state_at, true)
  and (state, model, firmware, interval_s, boot) is distinct from
      (%(state)s, coalesce(%(model)s, model), coalesce(%(firmware)s, firmware), coalesce(%(interval)s::real, interval_s),
       coalesce(%(boot)s, boot))

-- name: last_heard
-- When each device was last heard, Unix ms.
select device.key, floor(extract(epoch from greatest(
    (select received from sample where sample.device = device.key order by ts desc limit 1),
    (select received from acceleration where acceleration.device = device.key order by ts desc limit 1))) * 1000)::bigint
from device
where (%(devices)s::int[] is null or key = any(%(devices)s::int[]))
  and (exists (select from sample where sample.device = device.key)
       or exists (select from acceleration where acceleration.device = device.key))

-- name: last_triggers
-- The last one of every series before `since`, and of every device's silence.
select distinct on (device, resident, rule, metric, evidence ->> 'side')
       key, floor(extract(epoch from at) * 1000)::bigint as at, rule, version, kind, metric, severity, state, device,
       coalesce(resident, 0) as resident, evidence, zh, en
from trigger
where event is null and device is not null and (at < %(since)s or kind = 'silence')
  and (%(devices)s::int[] is null or device = any(%(devices)s::int[]))
order by device, resident, rule, metric, evidence ->> 'side', at desc, id desc

-- name: recent_samples
-- Every field is there (NULL is what Samples has for it), so that rows of binary COPY are all of one width.
select {columns} from sample
where ts >= {since} and ({devices}::int[] is null or device = any({devices}::int[]))

-- name: quarantine_list
select id, received, last_received, times, lane, reason, device, area, topic, length(payload) as size, detail, replayed_at
from quarantine
where (%(reason)s::text is null or reason = %(reason)s)
  and (%(device)s::text is null or device = %(device)s)
  and (%(since)s::timestamptz is null or last_received >= %(since)s)
  and (%(replayed)s or replayed_at is null)
order by last_received desc, id desc
limit %(most)s

-- name: quarantine_show
select id, received, last_received, times, lane, reason, device, area, topic, length(payload) as size, detail, replayed_at, payload
from quarantine where id = %(id)s

-- name: quarantine_newest
select coalesce(max(id), 0) from quarantine

-- name: quarantine_to_replay
-- In the order they came; `after` walks on from page to page.
select id, topic, payload from quarantine
where replayed_at is null and id > %(after)s and id <= %(newest)s
  and (%(ids)s::bigint[] is null or id = any(%(ids)s))
  and (%(reason)s::text is null or reason = %(reason)s)
  and (%(device)s::text is null or device = %(device)s)
  and (%(since)s::timestamptz is null or last_received >= %(since)s)
order by id limit %(most)s

-- name: quarantine_replayed
update quarantine set replayed_at = clock_timestamp() where id = %(id)s and replayed_at is null
