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
-- A trigger that is about no device names its area.
insert into trigger (key, at, rule, version, kind, metric, severity, state, device, device_id, resident, area, evidence, zh, en)
select t.key, to_timestamp(t.at / 1000.0), t.rule, t.version, t.kind, t.metric, t.severity, t.state,
       device.key, device.id, resident.key, coalesce(device.area, t.area), t.evidence, t.zh, t.en
from jsonb_to_recordset(%(triggers)s::jsonb) as t (key text, at bigint, rule text, version int, kind text, metric text,
        severity text, state text, device int, resident int, area text, evidence jsonb, zh text, en text)
left join device on device.key = t.device
left join resident on resident.key = t.resident
on conflict (key) do nothing
returning kind, state

-- name: add_to_quarantine
-- A whole batch's, sorted; the payloads as they are (%%b), for as text they would be twice as long.
insert into quarantine (received, last_received, times, lane, topic, payload, reason, detail, device, area)
select received, last_received, times, 'telemetry', topic, payload, reason, detail, device, area
from unnest(%(received)s::timestamptz[], %(last_received)s::timestamptz[], %(times)s::int[], %(topic)s::text[],
        %(payload)b::bytea[], %(reason)s::text[], %(detail)s::text[], %(device)s::text[], %(area)s::text[])
    as r (received, last_received, times, topic, payload, reason, detail, device, area)
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

-- name: last_outages
-- The last trigger of every area that ever had an outage.
select last.*
from (select distinct area from trigger where kind = 'outage') as areas
cross join lateral (
    select key, floor(extract(epoch from at) * 1000)::bigint as at, rule, version, kind, metric, severity, state, 0 as device,
           0 as resident, area, evidence, zh, en
    from trigger where kind = 'outage' and trigger.area = areas.area
    order by at desc, id desc limit 1) as last

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

-- name: highest_of_starts
-- How far the count of these starts of devices has come.
select device, boot, highest from device_sequence
join unnest(%(device)s::int[], %(boot)s::int[]) as asked (device, boot) using (device, boot)

-- name: journal
insert into ingest_journal (shard, entries) values (%(shard)s, %(entries)s) returning id

-- name: open_gaps
insert into device_gap (device, boot, first_seq, last_seq, since)
select device, boot, first_seq, last_seq, clock_timestamp()
from unnest(%(device)s::int[], %(boot)s::int[], %(first)s::int[], %(last)s::int[]) as g (device, boot, first_seq, last_seq)
on conflict do nothing

-- name: close_gaps
select device, seqs from gap_close(%(device)s::int[], %(boot)s::int[], %(seq)s::int[])

-- name: keep_sequences
-- A count never goes back.
insert into device_sequence (device, boot, highest)
select * from unnest(%(device)s::int[], %(boot)s::int[], %(highest)s::int[]) order by 1, 2
on conflict (device, boot) do update set highest = excluded.highest, changed_at = clock_timestamp()
where device_sequence.highest < excluded.highest

-- name: current_starts
select device, boot, highest from device_sequence

-- name: incomplete_devices
select distinct device from device_gap

-- name: journal_entries
select entries from ingest_journal order by id

-- name: end_of_journal
select coalesce(max(id), 0) from ingest_journal where shard = %(shard)s

-- name: forget_journal
-- What others than this shard left (there were more or fewer shards then) stays for a day, for each to read.
delete from ingest_journal
where (shard = %(shard)s and id <= %(until)s) or written_at < clock_timestamp() - interval '1 day'

-- name: journalled_samples
-- Every field is there, as in recent_samples.
select {columns} from unnest({device}::int[], {first}::timestamptz[], {last}::timestamptz[]) as j (device, first, last)
join sample on sample.device = j.device and sample.ts between j.first and j.last

-- name: follow_on
-- Not for what is acknowledged: what follows from memory is made again from the journal, whose end is written after it and
-- so is lost with it. It need not wait for the disk, nor make the batches wait.
set synchronous_commit = off

-- name: stage_latest
create temp table if not exists staged_latest (like latest) on commit delete rows

-- name: keep_latest
-- What is there and newer stays.
insert into latest as l ({columns}) select {columns} from staged_latest order by device, resident
on conflict (device, resident) do update
set ts = greatest(l.ts, excluded.ts), received = greatest(l.received, excluded.received){changes}

-- name: keep_reception
-- Figures of a day; the next day begins anew.
insert into device_reception as r (device, day, messages, duplicates, found, late, lateness_p50_ms, lateness_max_ms, clock_ahead_ms)
select device, (clock_timestamp() at time zone 'UTC')::date, messages, duplicates, found, late, p50, longest, ahead
from unnest(%(device)s::int[], %(messages)s::bigint[], %(duplicates)s::bigint[], %(found)s::bigint[], %(late)s::bigint[],
        %(lateness_p50_ms)s::bigint[], %(lateness_max_ms)s::bigint[], %(clock_ahead_ms)s::bigint[])
    as f (device, messages, duplicates, found, late, p50, longest, ahead)
order by device
on conflict (device) do update
set day = excluded.day, updated_at = clock_timestamp(),
    messages = excluded.messages + case when r.day = excluded.day then r.messages else 0 end,
    duplicates = excluded.duplicates + case when r.day = excluded.day then r.duplicates else 0 end,
    found = excluded.found + case when r.day = excluded.day then r.found else 0 end,
    late = excluded.late + case when r.day = excluded.day then r.late else 0 end,
    lateness_p50_ms = coalesce(excluded.lateness_p50_ms, r.lateness_p50_ms),
    lateness_max_ms = greatest(excluded.lateness_max_ms, case when r.day = excluded.day then r.lateness_max_ms end),
    clock_ahead_ms = coalesce(excluded.clock_ahead_ms, r.clock_ahead_ms)

-- name: hold_gaps
-- No gap is settled or given up until the end of this transaction: what is left of a gap is another row, which a statement
-- that waited for the old one would not see.
select pg_advisory_xact_lock_shared(0x67617073)

-- name: lock_gaps
select pg_advisory_xact_lock(0x67617073)

-- name: settle_gaps
-- What is missing from telemetry and came as an event is not missing.
with events as (
    select array_agg(g.device) as device, array_agg(g.boot) as boot, array_agg(e.seq) as seq
    from device_gap g join device d on d.key = g.device
    join event e on e.device_id = d.id and e.boot = g.boot and e.seq between g.first_seq and g.last_seq and (e.flags & 64) = 0)
select closed.device, closed.seqs from events, gap_close(events.device, events.boot, events.seq) closed

-- name: give_up_gaps
-- A device has so many gaps at most; of the oldest beyond them, and of those older than a month, only the count stays.
with over as (
    delete from device_gap where (device, boot, first_seq) in (
        select device, boot, first_seq from (
            select device, boot, first_seq, since,
                row_number() over (partition by device order by boot desc, first_seq desc) as place from device_gap) ranked
        where place > %(most)s or since < clock_timestamp() - interval '30 days')
    returning device, boot, last_seq::bigint - first_seq + 1 as missing),
counted as (select device, boot, sum(missing) as missing from over group by device, boot)
update device_sequence s set given_up = s.given_up + counted.missing
from counted where (s.device, s.boot) = (counted.device, counted.boot)

-- name: forget_starts
-- Starts long over, of which nothing can come any more.
delete from device_sequence s using (select device, max(boot) as boot from device_sequence group by device) now
where now.device = s.device and s.boot < now.boot and s.changed_at < clock_timestamp() - interval '30 days'

-- name: count_missing
select coalesce(sum(missing), 0)::bigint, count(distinct device) from device_missing where missing > 0

-- name: rollups_kept_by
select kept_by from rollup_state

-- name: hold_rollups
-- No hour is closed until the end of this transaction.
select pg_advisory_xact_lock_shared(0x726f6c6c)

-- name: mark_rollups
-- Samples of these hours are being stored; what is rolled up already must be made anew.
insert into rollup_due (device, hour)
select h.device, h.hour from unnest(%(device)s::int[], %(hour)s::timestamptz[]) as h (device, hour)
where h.hour < (select marked_until from rollup_state)
order by 1, 2
on conflict do nothing

-- name: lock_rollups
select pg_advisory_xact_lock(0x726f6c6c)

-- name: begin_hour
-- The next hour that is long enough over; from now on, whatever is stored of it is marked.
update rollup_state set marked_until = closed_until + interval '1 hour'
where closed_until + interval '1 hour' <= clock_timestamp() - make_interval(mins => %(lag_min)s)
returning closed_until, next_device

-- name: next_devices
select array_agg(key order by key) from (select key from device where key > %(after)s order by key limit %(most)s) d

-- name: rollup_hour
select rollup_hour(%(hour)s, %(devices)s::int[])

-- name: rollup_progress
update rollup_state set next_device = %(device)s

-- name: end_hour
update rollup_state set closed_until = marked_until, next_device = 0

-- name: take_due
-- Hours that nobody rolls up any more, because their samples were dropped, are only taken off.
delete from rollup_due where (device, hour) in (
    select device, hour from rollup_due where hour < (select closed_until from rollup_state)
    order by hour, device limit %(most)s for update skip locked)
returning device, hour, %(days)s::int = 0 or hour > clock_timestamp() - make_interval(days => %(days)s) as kept

-- name: is_hypertable
select exists (select from pg_extension where extname = 'timescaledb')

-- name: retain_chunks
select retain_chunks(%(days)s)

-- name: delete_old
-- Some at a time, so that nobody waits long.
delete from {table} where ctid = any(array(
    select ctid from {table} where ts < clock_timestamp() - make_interval(days => {days}) limit {most}))

-- name: delete_old_notes
delete from wrong_clock_message where received < clock_timestamp() - make_interval(days => %(days)s)

-- name: resident_horizon
-- Everything changed before this moment is visible by now: a change is stamped after its transaction began, and the
-- oldest one still running bounds what may yet appear. Ten seconds for transactions of roles we may not see.
select extract(epoch from least(clock_timestamp(), oldest_transaction()) - interval '10 seconds')::double precision

-- name: override_fingerprint
-- Differs from the last time where an override, an area, or where a resident with overrides lives may have changed.
select (select count(*) from rule_override), (select max(changed_at) from rule_override),
       (select count(*) from area), (select max(changed_at) from area),
       (select max(r.changed_at) from resident r join rule_override o on o.resident = r.key)

-- name: area_tree
select code, parent, timezone as zone from area

-- name: overrides
select o.area, r.id as resident, o.rule, o.field, o.value, r.area as resident_area, coalesce(o.resident, 0) as resident_key
from rule_override o left join resident r on r.key = o.resident
order by o.area, r.id, o.rule, o.field

-- name: profiles_met
-- Residents that a shard meets: of its areas (`ours`; null: of all), with a device there, or of whom there is more to
-- know than where they live.
select r.key, r.id, r.area, r.lat, r.lon,
       case when exists (select from resident_order o where o.resident = r.key and o.what = 'spo2_scale_2'
                and o.ordered_at <= now() and (o.ended_at is null or o.ended_at > now())) then 2 else 1 end,
       (select jsonb_agg(jsonb_build_array(p.name, p.watch, p.lat, p.lon, p.radius_m, p.minute) order by p.name, p.watch)
        from place p where p.resident = r.key)
from resident r
where %(ours)s::text[] is null or r.area = any(%(ours)s)
   or r.key in (select w.resident from wearing w join device d on d.key = w.device
                where w.until is null and d.area = any(%(ours)s))
   or r.key in (select resident from place union all select resident from resident_order
                union all select resident from rule_override where resident is not null)

-- name: profiles_changed
-- Residents that changed since a moment (seconds since 1970), or in whose areas something did, or whose orders began or
-- ended since.
select r.key, r.id, r.area, r.lat, r.lon,
       case when exists (select from resident_order o where o.resident = r.key and o.what = 'spo2_scale_2'
                and o.ordered_at <= now() and (o.ended_at is null or o.ended_at > now())) then 2 else 1 end,
       (select jsonb_agg(jsonb_build_array(p.name, p.watch, p.lat, p.lon, p.radius_m, p.minute) order by p.name, p.watch)
        from place p where p.resident = r.key)
from resident r
where r.key in (
    select key from resident where changed_at >= to_timestamp(%(since)s)
    union select key from resident where area = any(%(areas)s::text[])
    union select unnest(%(residents)s::int[])
    union select resident from resident_order
        where ordered_at between to_timestamp(%(since)s) and now() or ended_at between to_timestamp(%(since)s) and now())

-- name: count_residents
select count(*) from resident

-- name: resident_keys
select key from resident order by key

-- name: snapshot_shards
-- Whose state is kept, the newest first.
select shard from rules_snapshot group by shard order by max(taken_at) desc, shard

-- name: snapshots
-- The older first: what is there twice is as the newer has it.
select operator, made_of, since, state from rules_snapshot
where shard = any(%(shards)s::text[]) order by operator, taken_at, part

-- name: forget_snapshot
delete from rules_snapshot where shard = %(shard)s and operator = %(operator)s

-- name: keep_snapshot
insert into rules_snapshot (shard, operator, part, made_of, since, state)
values (%(shard)s, %(operator)s, %(part)s, %(made_of)s, %(since)s, %(state)s)

-- name: oldest_to_restore
-- When the n-th newest sample was measured, Unix ms; no row where there are fewer.
select floor(extract(epoch from ts) * 1000)::bigint from sample order by ts desc offset %(most)s limit 1

-- name: samples_to_restore
-- Every field is there (NULL is what Samples has for it), so that rows of binary COPY are all of one width. In order of
-- measurement; without those that came with an event: the event is told itself.
select {columns} from sample
where ts >= {since} and ({devices}::int[] is null or device = any({devices}::int[])) and (flags & 32) = 0
order by ts

-- name: events_now
select coalesce(max(committed), clock_timestamp()) from event

-- name: events_to_restore
-- A device's clock is at most five minutes ahead (contract section 2).
select id, committed, device_id, device, resident, area, event, boot, seq, of_seq, service,
       floor(extract(epoch from ts) * 1000)::bigint, claimed, floor(extract(epoch from received) * 1000)::bigint,
       flags, "values", position
from event
where committed >= least(%(since)s - interval '10 minutes', %(recent)s) and device is not null
order by received, id

-- name: events_since
-- One page, in order of their coming.
select id, committed, device_id, device, resident, area, event, boot, seq, of_seq, service,
       floor(extract(epoch from ts) * 1000)::bigint, claimed, floor(extract(epoch from received) * 1000)::bigint,
       flags, "values", position
from event
where (committed, id) > (%(committed)s, %(id)s) and device is not null
order by committed, id limit %(most)s
