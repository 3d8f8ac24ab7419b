-- Drills: every household once a month through the whole chain; the canary: a simulated SOS every minute; the auditor's look-ups.

create table drill_schedule (
    area text primary key references area (code) on delete cascade,
    day int not null check (day between 1 and 28),
    begins time not null default '10:00',
    ends time not null default '17:00',
    per_minute int not null default 6 check (per_minute between 1 and 600),
    answer_s real not null default 86400 check (answer_s between 60 and 604800),
    check (begins < ends)
);
comment on table drill_schedule is 'From this day of every month on, in these hours by the area''s clock; an area below with its own is left to that';
comment on column drill_schedule.per_minute is 'Households told in a minute, at most: nobody is flooded';
comment on column drill_schedule.answer_s is 'Seconds a household has to answer; then it is listed';

create table drill (
    id bigint generated always as identity primary key,
    area text not null references area (code),
    month date,
    started_at timestamptz not null default clock_timestamp(),
    started_by text not null,
    begins time not null,
    ends time not null check (begins < ends),
    per_minute int not null check (per_minute between 1 and 600),
    answer_s real not null check (answer_s between 60 and 604800),
    stopped_at timestamptz,
    stopped_by text,
    ended_at timestamptz,
    unique (area, month),
    check ((stopped_at is null) = (stopped_by is null))
);
create unique index drill_one_running on drill (area) where ended_at is null;
comment on column drill.month is 'Its first day, where the schedule began it: once a month';
comment on column drill.stopped_at is 'From then on nobody more is told';

create table drill_household (
    drill bigint not null references drill (id) on delete cascade,
    resident int not null references resident (key) on delete cascade,
    told_at timestamptz,
    alert uuid references alert (id) on delete set null,
    contact text,
    command uuid references command (id) on delete set null,
    device_id text,
    ended_at timestamptz,
    people text check (people in ('answered', 'no_answer', 'not_delivered', 'no_contact', 'interrupted', 'not_tested')),
    device text check (device in ('answered', 'no_answer', 'refused', 'no_device', 'not_tested')),
    primary key (drill, resident),
    check ((ended_at is null) = (people is null)),
    check ((people is null) = (device is null))
);
create index drill_household_waiting on drill_household (drill, resident) where told_at is null and ended_at is null;
create index drill_household_told on drill_household (drill, told_at) where told_at is not null;
create index drill_household_open on drill_household (alert) where ended_at is null;
comment on column drill_household.people is 'Whether the first contact answered; interrupted: a real alert came; not_tested: the drill was stopped before';
comment on column drill_household.device is 'Whether what the resident wears answered the command `test`';

-- A drill calls whom it calls when it begins, and nobody after: no step, no operator, whatever is answered.
create function escalation_spares_drills() returns trigger language plpgsql as $$
begin
    if exists (select from alert where id = new.alert and reason_code = 'drill') then new.next_at := null; end if;
    return new;
end $$;
create trigger escalation_spares_drills before insert or update of next_at on escalation
    for each row when (new.next_at is not null) execute function escalation_spares_drills();

-- However people close it, it was a drill: it must not count as a false alarm, nor as a true one.
create function alert_was_drill() returns trigger language plpgsql as $$
begin
    new.outcome := 'drill';
    return new;
end $$;
create trigger alert_was_drill before update of outcome on alert
    for each row when (new.reason_code = 'drill' and new.outcome is not null) execute function alert_was_drill();

create table canary (
    one boolean primary key default true check (one),
    holder text,
    leased_until timestamptz
);
insert into canary default values;
comment on table canary is 'Which process presses the canary''s button now: one at a time, another where it dies';
do $$
begin
    if exists (select from pg_roles where rolname = 'homecare_app') then
        grant select, insert, update, delete on drill_schedule, drill, drill_household, canary to homecare_app;
    end if;
end $$;
