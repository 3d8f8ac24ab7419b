-- Measurements: one row per sample in a hypertable where TimescaleDB is there, else in a plain table;
-- what could not be kept, with its raw bytes.

do $$
begin
    create extension if not exists timescaledb;
exception when others then
    raise warning 'TimescaleDB is not available (%): samples go to a plain table', sqlerrm;
end $$;

-- No foreign keys on the two big tables: a trigger per row would halve what they take in; the writer knows only
-- keys it has read from `device` and `resident`.
create table sample (
    ts timestamptz not null,
    received timestamptz not null,
    committed timestamptz not null default clock_timestamp(),
    claimed bigint,
    device int not null,
    resident int,
    boot int not null check (boot >= 0),
    seq int not null check (seq >= 0),
    part smallint not null check (part >= 0),
    flags smallint not null,
    heart_rate real,
    spo2 real,
    respiratory_rate real,
    systolic real,
    diastolic real,
    temperature real,
    glucose real,
    weight real,
    height real,
    steps real,
    activity real,
    presence real,
    room_temperature real,
    battery real,
    signal real,
    lat double precision,
    lon double precision,
    accuracy real,
    speed real,
    heading real,
    altitude real,
    fix smallint
);
comment on column sample.ts is 'When it was measured; the time of receipt where the device''s clock is wrong (flag 1)';
comment on column sample.received is 'When the backend received it';
comment on column sample.committed is 'When it was written, within the transaction that committed it';
comment on column sample.claimed is 'The device''s own unusable ts, Unix ms, where the clock is wrong and it sent one';
comment on column sample.device is 'device.key';
comment on column sample.resident is 'resident.key of the person measured; NULL: nobody known';
comment on column sample.part is 'Index of the sample in its message';
comment on column sample.flags is 'Bits: 1 wrong clock, 2 late, 4 partial, 8 subject named in the message, 16 salvaged, 32 came with an event';
comment on column sample.heart_rate is '/min';
comment on column sample.spo2 is '%';
comment on column sample.respiratory_rate is '/min';
comment on column sample.systolic is 'mm[Hg]';
comment on column sample.diastolic is 'mm[Hg]';
comment on column sample.temperature is 'Cel, body';
comment on column sample.glucose is 'mmol/L, capillary';
comment on column sample.weight is 'kg';
comment on column sample.height is 'cm';
comment on column sample.steps is '1, since the last sample';
comment on column sample.activity is '1, movement counts since the last sample';
comment on column sample.presence is '1, 0 or 1';
comment on column sample.room_temperature is 'Cel';
comment on column sample.battery is '%';
comment on column sample.signal is 'dBm';
comment on column sample.lat is 'WGS-84, degrees';
comment on column sample.lon is 'WGS-84, degrees';
comment on column sample.accuracy is 'm, 68 %';
comment on column sample.speed is 'm/s';
comment on column sample.heading is 'degrees from north';
comment on column sample.altitude is 'm';
comment on column sample.fix is '0 none, 1 cell (lbs), 2 wifi, 3 gnss';

create table acceleration (
    ts timestamptz not null,
    received timestamptz not null,
    committed timestamptz not null default clock_timestamp(),
    claimed bigint,
    device int not null,
    resident int,
    boot int not null check (boot >= 0),
    seq int not null check (seq >= 0),
    part smallint not null check (part >= 0),
    flags smallint not null,
    hz real not null check (hz > 0),
    unit text not null check (unit in ('m/s2', 'g')),
    scale real not null,
    xyz bytea not null check (length(xyz) % 6 = 0)
);
comment on table acceleration is 'Windows of wrist acceleration, gravity included';
comment on column acceleration.ts is 'Time of the first sample of the window';
comment on column acceleration.hz is 'samples per second';
comment on column acceleration.scale is 'value = int16 * scale, in unit';
comment on column acceleration.xyz is 'Little-endian int16 x,y,z,x,y,z...';

do $$
begin
    if exists (select from pg_extension where extname = 'timescaledb') then
        perform create_hypertable('sample', by_range('ts', interval '1 day'), create_default_indexes => false);
        perform create_hypertable('acceleration', by_range('ts', interval '1 day'), create_default_indexes => false);
    end if;
end $$;

-- (device, boot, seq) names a message for ever and its ts does not change; a hypertable's unique index must hold ts.
-- Device and ts first, so that the same index serves "this device, these hours".
create unique index sample_once on sample (device, ts, boot, seq, part);
create unique index acceleration_once on acceleration (device, ts, boot, seq, part);
-- Kiosks serve many: only their rows are looked up by person.
create index sample_by_subject on sample (resident, ts) where (flags & 8) <> 0;

create table wrong_clock_message (
    device int not null references device (key),
    boot int not null,
    seq int not null,
    received timestamptz not null,
    primary key (device, boot, seq)
);
comment on table wrong_clock_message is
    'Messages with a sample stored at its time of receipt: that time differs when they come again, so the index on ts cannot know them';

create function resident_samples(p_resident int, p_from timestamptz, p_to timestamptz)
returns setof sample language sql stable as $$
    select s.* from (select distinct device from wearing
                     where resident = p_resident and since < p_to and (until is null or until > p_from)) w
    join sample s on s.device = w.device
    where s.ts >= p_from and s.ts < p_to and s.resident = p_resident and (s.flags & 8) = 0
    union all
    select s.* from sample s
    where s.resident = p_resident and (s.flags & 8) <> 0 and s.ts >= p_from and s.ts < p_to
$$;
comment on function resident_samples is 'What was measured of a person, by their own devices and by kiosks, unordered';

create table quarantine (
    id bigint generated always as identity primary key,
    received timestamptz not null,
    last_received timestamptz not null,
    times int not null default 1 check (times >= 1),
    lane text not null check (lane in ('telemetry', 'event')),
    topic text not null,
    payload bytea not null,
    reason text not null check (reason in ('too_large', 'not_utf8', 'not_json', 'bad_schema', 'unknown_device',
        'wrong_area', 'unknown_metric', 'not_a_number', 'out_of_range', 'unknown_subject')),
    detail text not null,
    device text,
    area text,
    replayed_at timestamptz
);
-- Hashed, for a topic may be longer than an index takes.
create unique index quarantine_once on quarantine (md5(topic), sha256(payload), reason) where replayed_at is null;
create index quarantine_received on quarantine (received);
comment on table quarantine is 'Messages, or parts of them, that could not be kept: the raw bytes, the reason, the time';
comment on column quarantine.times is 'How often the same bytes came';
