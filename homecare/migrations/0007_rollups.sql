-- Hours and days of every device and person: how many samples, and of each metric least, greatest, sum and count (the mean is
-- sum / count). Kept by TimescaleDB where its Community licence is there; else by the product, under the same names and columns.
-- People's days: all of China has one time, UTC+8, without summer time.

create table rollup_state (
    only_one boolean primary key default true check (only_one),
    kept_by text not null check (kept_by in ('timescaledb', 'product')),
    marked_until timestamptz not null,
    closed_until timestamptz not null check (closed_until <= marked_until),
    next_device int not null default 0
);
comment on column rollup_state.kept_by is 'Who keeps sample_hourly and sample_daily; decided when the schema was made';
comment on column rollup_state.marked_until is 'Whoever stores samples of an hour before this puts it into rollup_due; moves before the hour is rolled up';
comment on column rollup_state.closed_until is 'Hours before this are read from sample_hour, later ones from the samples themselves';
comment on column rollup_state.next_device is 'Of the hour that is being rolled up, devices with keys up to this are done';

create table rollup_due (
    device int not null,
    hour timestamptz not null,
    primary key (device, hour)
);
comment on table rollup_due is 'Hours that are to be rolled up again, because late samples came';

do $make$
declare
    community constant boolean := coalesce(current_setting('timescaledb.license', true), '') = 'timescale'
        and exists (select from pg_extension where extname = 'timescaledb');
    aggregates constant text := $columns$
        count(*) as samples,
        min(heart_rate) as heart_rate_min, max(heart_rate) as heart_rate_max, sum(heart_rate::float8) as heart_rate_sum, count(heart_rate) as heart_rate_count,
        min(spo2) as spo2_min, max(spo2) as spo2_max, sum(spo2::float8) as spo2_sum, count(spo2) as spo2_count,
        min(respiratory_rate) as respiratory_rate_min, max(respiratory_rate) as respiratory_rate_max, sum(respiratory_rate::float8) as respiratory_rate_sum, count(respiratory_rate) as respiratory_rate_count,
        min(systolic) as systolic_min, max(systolic) as systolic_max, sum(systolic::float8) as systolic_sum, count(systolic) as systolic_count,
        min(diastolic) as diastolic_min, max(diastolic) as diastolic_max, sum(diastolic::float8) as diastolic_sum, count(diastolic) as diastolic_count,
        min(temperature) as temperature_min, max(temperature) as temperature_max, sum(temperature::float8) as temperature_sum, count(temperature) as temperature_count,
        min(glucose) as glucose_min, max(glucose) as glucose_max, sum(glucose::float8) as glucose_sum, count(glucose) as glucose_count,
        min(weight) as weight_min, max(weight) as weight_max, sum(weight::float8) as weight_sum, count(weight) as weight_count,
        min(height) as height_min, max(height) as height_max, sum(height::float8) as height_sum, count(height) as height_count,
        min(steps) as steps_min, max(steps) as steps_max, sum(steps::float8) as steps_sum, count(steps) as steps_count,
        min(activity) as activity_min, max(activity) as activity_max, sum(activity::float8) as activity_sum, count(activity) as activity_count,
        min(presence) as presence_min, max(presence) as presence_max, sum(presence::float8) as presence_sum, count(presence) as presence_count,
        min(room_temperature) as room_temperature_min, max(room_temperature) as room_temperature_max, sum(room_temperature::float8) as room_temperature_sum, count(room_temperature) as room_temperature_count,
        min(battery) as battery_min, max(battery) as battery_max, sum(battery::float8) as battery_sum, count(battery) as battery_count,
        min(signal) as signal_min, max(signal) as signal_max, sum(signal::float8) as signal_sum, count(signal) as signal_count
    $columns$;
begin
    insert into rollup_state (kept_by, marked_until, closed_until)
    values (case when community then 'timescaledb' else 'product' end, date_trunc('hour', now()), date_trunc('hour', now()));

    if community then
        -- A device's day is one segment, in the order of the unique index: a person's chart reads a few pages, and a
        -- message that comes again is found without decompressing the others.
        alter table sample set (timescaledb.compress, timescaledb.compress_segmentby = 'device',
            timescaledb.compress_orderby = 'ts, boot, seq, part');
        alter table acceleration set (timescaledb.compress, timescaledb.compress_segmentby = 'device',
            timescaledb.compress_orderby = 'ts, boot, seq, part');
        perform add_compression_policy('sample', compress_after => interval '7 days');
        perform add_compression_policy('acceleration', compress_after => interval '2 days');
        execute 'create materialized view sample_hourly
            with (timescaledb.continuous, timescaledb.materialized_only = false) as
            select time_bucket(interval ''1 hour'', ts) as bucket, device, resident,' || aggregates || '
            from sample group by 1, 2, 3 with no data';
        execute 'create materialized view sample_daily
            with (timescaledb.continuous, timescaledb.materialized_only = false) as
            select time_bucket(interval ''1 day'', ts, ''Asia/Shanghai'') as bucket, device, resident,' || aggregates || '
            from sample group by 1, 2, 3 with no data';
        -- Late samples count as far back as start_offset says; never as far as retention may reach (35 days at least).
        perform add_continuous_aggregate_policy('sample_hourly', start_offset => interval '32 days',
            end_offset => interval '1 hour', schedule_interval => interval '10 minutes');
        perform add_continuous_aggregate_policy('sample_daily', start_offset => interval '32 days',
            end_offset => interval '1 day', schedule_interval => interval '1 hour');
        return;
    end if;

    create table sample_hour (
    bucket timestamptz not null,
    device int not null,
    resident int,
    samples bigint not null,
    heart_rate_min real,
    heart_rate_max real,
    heart_rate_sum double precision,
    heart_rate_count bigint not null,
    spo2_min real,
    spo2_max real,
    spo2_sum double precision,
    spo2_count bigint not null,
    respiratory_rate_min real,
    respiratory_rate_max real,
    respiratory_rate_sum double precision,
    respiratory_rate_count bigint not null,
    systolic_min real,
    systolic_max real,
    systolic_sum double precision,
    systolic_count bigint not null,
    diastolic_min real,
    diastolic_max real,
    diastolic_sum double precision,
    diastolic_count bigint not null,
    temperature_min real,
    temperature_max real,
    temperature_sum double precision,
    temperature_count bigint not null,
    glucose_min real,
    glucose_max real,
    glucose_sum double precision,
    glucose_count bigint not null,
    weight_min real,
    weight_max real,
    weight_sum double precision,
    weight_count bigint not null,
    height_min real,
    height_max real,
    height_sum double precision,
    height_count bigint not null,
    steps_min real,
    steps_max real,
    steps_sum double precision,
    steps_count bigint not null,
    activity_min real,
    activity_max real,
    activity_sum double precision,
    activity_count bigint not null,
    presence_min real,
    presence_max real,
    presence_sum double precision,
    presence_count bigint not null,
    room_temperature_min real,
    room_temperature_max real,
    room_temperature_sum double precision,
    room_temperature_count bigint not null,
    battery_min real,
    battery_max real,
    battery_sum double precision,
    battery_count bigint not null,
    signal_min real,
    signal_max real,
    signal_sum double precision,
    signal_count bigint not null
    );
    create unique index sample_hour_once on sample_hour (device, bucket, coalesce(resident, 0));
    create index sample_hour_resident on sample_hour (resident, bucket) where resident is not null;
    comment on table sample_hour is 'Hours before rollup_state.closed_until, kept by ingest; to be read as sample_hourly';

    execute 'create view sample_hourly as
        select * from sample_hour where bucket < (select closed_until from rollup_state)
        union all
        select date_trunc(''hour'', ts, ''UTC'') as bucket, device, resident,' || aggregates || '
        from sample where ts >= (select closed_until from rollup_state) group by 1, 2, 3';

    create view sample_daily as
    select date_trunc('day', bucket, 'Asia/Shanghai') as bucket, device, resident, sum(samples)::bigint as samples,
        min(heart_rate_min) as heart_rate_min, max(heart_rate_max) as heart_rate_max, sum(heart_rate_sum) as heart_rate_sum,
            sum(heart_rate_count)::bigint as heart_rate_count,
        min(spo2_min) as spo2_min, max(spo2_max) as spo2_max, sum(spo2_sum) as spo2_sum,
            sum(spo2_count)::bigint as spo2_count,
        min(respiratory_rate_min) as respiratory_rate_min, max(respiratory_rate_max) as respiratory_rate_max, sum(respiratory_rate_sum) as respiratory_rate_sum,
            sum(respiratory_rate_count)::bigint as respiratory_rate_count,
        min(systolic_min) as systolic_min, max(systolic_max) as systolic_max, sum(systolic_sum) as systolic_sum,
            sum(systolic_count)::bigint as systolic_count,
        min(diastolic_min) as diastolic_min, max(diastolic_max) as diastolic_max, sum(diastolic_sum) as diastolic_sum,
            sum(diastolic_count)::bigint as diastolic_count,
        min(temperature_min) as temperature_min, max(temperature_max) as temperature_max, sum(temperature_sum) as temperature_sum,
            sum(temperature_count)::bigint as temperature_count,
        min(glucose_min) as glucose_min, max(glucose_max) as glucose_max, sum(glucose_sum) as glucose_sum,
            sum(glucose_count)::bigint as glucose_count,
        min(weight_min) as weight_min, max(weight_max) as weight_max, sum(weight_sum) as weight_sum,
            sum(weight_count)::bigint as weight_count,
        min(height_min) as height_min, max(height_max) as height_max, sum(height_sum) as height_sum,
            sum(height_count)::bigint as height_count,
        min(steps_min) as steps_min, max(steps_max) as steps_max, sum(steps_sum) as steps_sum,
            sum(steps_count)::bigint as steps_count,
        min(activity_min) as activity_min, max(activity_max) as activity_max, sum(activity_sum) as activity_sum,
            sum(activity_count)::bigint as activity_count,
        min(presence_min) as presence_min, max(presence_max) as presence_max, sum(presence_sum) as presence_sum,
            sum(presence_count)::bigint as presence_count,
        min(room_temperature_min) as room_temperature_min, max(room_temperature_max) as room_temperature_max, sum(room_temperature_sum) as room_temperature_sum,
            sum(room_temperature_count)::bigint as room_temperature_count,
        min(battery_min) as battery_min, max(battery_max) as battery_max, sum(battery_sum) as battery_sum,
            sum(battery_count)::bigint as battery_count,
        min(signal_min) as signal_min, max(signal_max) as signal_max, sum(signal_sum) as signal_sum,
            sum(signal_count)::bigint as signal_count
    from sample_hourly group by 1, 2, 3;

    execute 'create function rollup_hour(p_hour timestamptz, p_devices int[]) returns void language sql as $f$
        -- Makes that hour of these devices anew from their samples.
        delete from sample_hour where bucket = p_hour and device = any(p_devices);
        insert into sample_hour
        select p_hour, d.key, s.* from unnest(p_devices) as d (key) cross join lateral (
            select resident,' || aggregates || '
            from sample where device = d.key and ts >= p_hour and ts < p_hour + interval ''1 hour'' group by resident) s
    $f$';
end $make$;
