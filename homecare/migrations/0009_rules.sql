-- What the rules know of a person, and where their limits differ: places, orders, overrides of the rule pack.

create table place (
    resident int not null references resident (key) on delete cascade,
    name text not null check (name <> ''),
    watch text not null check (watch in ('leave', 'enter', 'home_by')),
    lat double precision[] not null check (-90 <= all (lat) and 90 >= all (lat)),
    lon double precision[] not null check (-180 <= all (lon) and 180 >= all (lon)),
    radius_m real not null default 0 check (radius_m >= 0 and radius_m <= 100000),
    minute int check (minute between 0 and 1439),
    changed_at timestamptz not null default clock_timestamp(),
    primary key (resident, name, watch),
    check (cardinality(lat) = cardinality(lon)),
    check (case when radius_m > 0 then cardinality(lat) = 1 else cardinality(lat) between 3 and 200 end),
    check ((watch = 'home_by') = (minute is not null))
);
comment on table place is 'Places that matter for one person: a circle (one point and a radius) or a polygon (3 points or more)';
comment on column place.lat is 'WGS-84, degrees; with lon, point by point';
comment on column place.minute is 'Minutes after local midnight by which they should be there';

create table resident_order (
    resident int not null references resident (key) on delete cascade,
    what text not null check (what in ('spo2_scale_2')),
    ordered_by text not null check (ordered_by <> ''),
    ordered_at timestamptz not null,
    ended_at timestamptz check (ended_at > ordered_at),
    changed_at timestamptz not null default clock_timestamp(),
    primary key (resident, what, ordered_at)
);
create unique index resident_order_in_force on resident_order (resident, what) where ended_at is null;
comment on table resident_order is 'What a clinician ordered for a person''s rules; kept when it has ended';
comment on column resident_order.what is 'spo2_scale_2: NEWS2 scores oxygen saturation by scale 2 (hypercapnic respiratory failure)';

create table rule_override (
    id bigint generated always as identity primary key,
    area text references area (code) on delete cascade,
    resident int references resident (key) on delete cascade,
    rule text not null check (rule ~ '^[a-z_]+([.][A-Za-z0-9_]+)?$'),
    field text not null check (field <> ''),
    value jsonb not null,
    set_by text not null check (set_by <> ''),
    changed_at timestamptz not null default clock_timestamp(),
    check ((area is null) <> (resident is null)),
    unique nulls not distinct (area, resident, rule, field)
);
create index rule_override_changed on rule_override (changed_at);
create index rule_override_resident on rule_override (resident) where resident is not null;
comment on table rule_override is 'Where the rule pack does not hold as it is: applied from the root area down, then the resident''s own';
comment on column rule_override.rule is 'As in error messages: limit.heart_rate, silence';
comment on column rule_override.field is 'Path in the rule: reading.heart_rate:high.bands.warning.limit';

create index resident_changed on resident (changed_at);

-- Who follows residents sees that something of theirs changed, also where it was deleted.
create function stamp_resident() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        update resident set changed_at = clock_timestamp() where key = old.resident;
    end if;
    if tg_op <> 'DELETE' then
        update resident set changed_at = clock_timestamp() where key = new.resident;
    end if;
    return null;
end $$;

-- Apart from the directory's channel, which speaks of every status of every device.
create function announce_rules() returns trigger language plpgsql as $$
begin
    perform pg_notify('homecare_rules', '');
    return null;
end $$;

do $$
declare t text;
begin
    foreach t in array array['area', 'resident', 'place', 'resident_order', 'rule_override'] loop
        execute format('create trigger announce_rules after insert or update or delete on %I'
                       ' for each statement execute function announce_rules()', t);
    end loop;
    foreach t in array array['place', 'resident_order', 'rule_override'] loop
        execute format('create trigger stamp_change before update on %I for each row execute function stamp_change()', t);
        execute format('create trigger stamp_resident after insert or update or delete on %I'
                       ' for each row execute function stamp_resident()', t);
    end loop;
end $$;
