-- Reception: how far each device's count has come and what is missing in it, how late its messages come; and the latest
-- reading of every metric, so that nobody has to search for it. ingest writes all of it.

create table device_sequence (
    device int not null,
    boot int not null,
    highest int not null check (highest >= 0),
    given_up bigint not null default 0 check (given_up >= 0),
    changed_at timestamptz not null default clock_timestamp(),
    primary key (device, boot)
) with (fillfactor = 70);
comment on table device_sequence is 'The highest seq that came of each start of a device; behind by what ingest_journal holds';
comment on column device_sequence.given_up is 'Missing messages of this start that are not waited for any longer';

create table device_gap (
    device int not null,
    boot int not null,
    first_seq int not null check (first_seq >= 0),
    last_seq int not null check (last_seq >= first_seq),
    since timestamptz not null,
    primary key (device, boot, first_seq)
);
comment on table device_gap is 'Messages (from first_seq to last_seq) that neither came as telemetry nor were known to be events when it was opened';
comment on column device_gap.since is 'When a later message of the same start was received';

create function gap_close(p_device int[], p_boot int[], p_seq int[]) returns table (device int, seqs int) language sql as $$
    -- These messages came after all. A gap one of them lies in becomes what is left of it; returns how many were missing.
    with came as (select distinct c.device, c.boot, c.seq from unnest(p_device, p_boot, p_seq) as c (device, boot, seq)),
    hit as (
        select g.device, g.boot, g.first_seq, count(*)::int as seqs, range_agg(int8range(c.seq, c.seq, '[]')) as found
        from came c join device_gap g on g.device = c.device and g.boot = c.boot and c.seq between g.first_seq and g.last_seq
        group by g.device, g.boot, g.first_seq),
    gone as (
        delete from device_gap g using hit h
        where (g.device, g.boot, g.first_seq) = (h.device, h.boot, h.first_seq)
        returning g.device, g.boot, g.since, h.seqs, int8multirange(int8range(g.first_seq, g.last_seq, '[]')) - h.found as rest),
    kept as (
        insert into device_gap (device, boot, first_seq, last_seq, since)
        select gone.device, gone.boot, lower(r)::int, (upper(r) - 1)::int, gone.since from gone, unnest(gone.rest) as r)
    select gone.device, sum(gone.seqs)::int from gone group by gone.device
$$;

create view device_missing as
select d.id as device_id, g.device, g.boot, g.first_seq, g.last_seq, g.since,
    g.last_seq::bigint - g.first_seq + 1 - (
        select count(*) from event e
        where e.device_id = d.id and e.boot = g.boot and e.seq between g.first_seq and g.last_seq and (e.flags & 64) = 0)
        as missing
from device_gap g join device d on d.key = g.device;
comment on view device_missing is 'Gaps with how many messages are missing in each, events taken off; 0: all of them were events';

create table device_reception (
    device int primary key,
    day date not null,
    messages bigint not null,
    duplicates bigint not null,
    found bigint not null,
    late bigint not null,
    lateness_p50_ms bigint,
    lateness_max_ms bigint,
    clock_ahead_ms bigint,
    updated_at timestamptz not null default clock_timestamp()
) with (fillfactor = 70);
comment on table device_reception is 'How telemetry came in on the day (UTC) it last came; written about once a minute, so a crash loses the last of it';
comment on column device_reception.duplicates is 'Messages that had come before';
comment on column device_reception.found is 'Messages that closed a gap, or part of one';
comment on column device_reception.late is 'Messages measured more than 5 minutes before they were received';
comment on column device_reception.lateness_p50_ms is 'From measured to received, median: the upper bound of its class (see ingest/reception.py)';
comment on column device_reception.lateness_max_ms is 'The longest from measured to received, of the day';
comment on column device_reception.clock_ahead_ms is 'How far the device''s clock is ahead of ours (negative: behind), as the fastest message of the last minute had it';

create table ingest_journal (
    id bigint generated always as identity primary key,
    shard text not null,
    written_at timestamptz not null default clock_timestamp(),
    entries bytea not null
);
alter table ingest_journal alter column entries set storage external;
comment on table ingest_journal is
    'What batches added to each device''s count and which samples they brought, until device_sequence and latest have it';
comment on column ingest_journal.entries is 'See ingest/sequences.py: ENTRY';

create table latest (
    device int not null,
    resident int not null,
    ts timestamptz not null,
    received timestamptz not null,
    heart_rate real,
    heart_rate_at timestamptz,
    spo2 real,
    spo2_at timestamptz,
    respiratory_rate real,
    respiratory_rate_at timestamptz,
    systolic real,
    systolic_at timestamptz,
    diastolic real,
    diastolic_at timestamptz,
    temperature real,
    temperature_at timestamptz,
    glucose real,
    glucose_at timestamptz,
    weight real,
    weight_at timestamptz,
    height real,
    height_at timestamptz,
    steps real,
    steps_at timestamptz,
    activity real,
    activity_at timestamptz,
    presence real,
    presence_at timestamptz,
    room_temperature real,
    room_temperature_at timestamptz,
    battery real,
    battery_at timestamptz,
    signal real,
    signal_at timestamptz,
    lat double precision,
    lon double precision,
    accuracy real,
    fix smallint,
    position_at timestamptz,
    primary key (device, resident)
) with (fillfactor = 60);
create index latest_resident on latest (resident) where resident <> 0;
comment on table latest is 'The latest reading of each metric, by device and person measured; behind what is stored by a second at most';
comment on column latest.resident is 'resident.key of the person measured; 0: nobody known';
comment on column latest.ts is 'When the latest sample was measured; x_at is when the latest x was';
