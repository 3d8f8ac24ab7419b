-- The directory: areas as a tree, residents, contacts, devices, who wears what since when, policies, operators.

create table area (
    code text primary key check (code ~ '^[A-Za-z0-9_-]{1,32}$'),
    parent text references area (code),
    level text not null check (level in ('province', 'city', 'county', 'township', 'village')),
    name_zh text not null check (name_zh <> ''),
    name_en text not null check (name_en <> ''),
    timezone text not null default 'Asia/Shanghai',
    changed_at timestamptz not null default clock_timestamp()
);
create index area_parent on area (parent);
comment on column area.timezone is 'IANA name; people of this area read times in it';

create function area_within(p_code text) returns setof text language sql stable as $$
    with recursive below (code) as (
        select code from area where code = p_code
        union
        select area.code from area join below on area.parent = below.code)
    select code from below
$$;
comment on function area_within is 'An area and all below it';

create function area_above(p_code text) returns table (code text, distance int) language sql stable as $$
    with recursive above (code, parent, distance) as (
        select area.code, area.parent, 0 from area where area.code = p_code
        union all
        select area.code, area.parent, above.distance + 1 from area join above on area.code = above.parent
        where above.distance < 16)
    select code, distance from above
$$;
comment on function area_above is 'An area (distance 0) and all above it up to the root';

create function area_no_cycle() returns trigger language plpgsql as $$
begin
    if new.parent is not null and new.parent in (select area_within(new.code)) then
        raise exception 'area % cannot lie below itself', new.code using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger area_no_cycle before insert or update of parent on area for each row execute function area_no_cycle();

create table resident (
    key int generated always as identity primary key,
    id text not null unique check (id ~ '^[A-Za-z0-9_.:-]{1,64}$'),
    card text unique check (card <> ''),
    area text not null references area (code),
    name text not null check (name <> ''),
    birth_date date,
    sex text check (sex in ('f', 'm', 'x')),
    phone text,
    address text,
    lat double precision check (lat between -90 and 90),
    lon double precision check (lon between -180 and 180),
    language text not null default 'zh' check (language in ('zh', 'en')),
    conditions text[] not null default '{}',
    changed_at timestamptz not null default clock_timestamp(),
    check ((lat is null) = (lon is null))
);
create index resident_area on resident (area);
comment on column resident.key is 'What measurements carry; never leaves the database';
comment on column resident.card is 'Card number a kiosk may read instead of the id';
comment on column resident.lat is 'Home, WGS-84, degrees';
comment on column resident.lon is 'Home, WGS-84, degrees';

create table contact (
    id text primary key check (id ~ '^[A-Za-z0-9_.:-]{1,64}$'),
    name text not null check (name <> ''),
    role text not null check (role in ('family', 'neighbour', 'village_doctor', 'grid_worker', 'service', 'other')),
    area text references area (code),
    phone text,
    language text not null default 'zh' check (language in ('zh', 'en')),
    changed_at timestamptz not null default clock_timestamp()
);

create table channel (
    id bigint generated always as identity primary key,
    contact text not null references contact (id) on delete cascade,
    rank int not null check (rank >= 1),
    kind text not null check (kind <> ''),
    address text not null check (address <> ''),
    secret bytea,
    previous_secret bytea,
    previous_secret_until timestamptz,
    disabled_at timestamptz,
    disabled_reason text,
    unique (contact, rank),
    check (kind <> 'webhook' or secret is not null),
    check ((disabled_at is null) = (disabled_reason is null))
);
comment on column channel.rank is 'A contact''s channels are tried in this order, from 1';
comment on column channel.secret is 'Encrypted with a key derived from HOMECARE_SECRET_KEY';

create table resident_contact (
    resident int not null references resident (key) on delete cascade,
    contact text not null references contact (id) on delete cascade,
    rank int not null check (rank >= 1),
    relation text not null default '',
    primary key (resident, rank),
    unique (resident, contact)
);
comment on column resident_contact.rank is 'First contact is 1';

create table device (
    key int generated always as identity primary key,
    id text not null unique check (id ~ '^[A-Za-z0-9_.:-]{1,64}$'),
    area text not null references area (code),
    kind text not null check (kind in ('handset', 'fall_sensor', 'kiosk', 'home_sensor')),
    model text,
    firmware text,
    interval_s real not null default 60 check (interval_s > 0),
    state text not null default 'unknown' check (state in ('unknown', 'online', 'offline')),
    state_at timestamptz,
    boot int,
    mqtt_password text,
    registered_at timestamptz not null default clock_timestamp(),
    revoked_at timestamptz,
    changed_at timestamptz not null default clock_timestamp()
);
create index device_area on device (area);
create index device_changed on device (changed_at);
comment on column device.interval_s is 'Seconds between two normal telemetry messages';
comment on column device.mqtt_password is 'PBKDF2 hash in Mosquitto''s password file format; never the password';

create table wearing (
    id bigint generated always as identity primary key,
    device int not null references device (key),
    resident int not null references resident (key),
    since timestamptz not null default now(),
    until timestamptz check (until > since),
    changed_at timestamptz not null default clock_timestamp(),
    -- int4range stands in for btree_gist, which not every PostgreSQL brings
    exclude using gist (int4range(device, device, '[]') with &&, tstzrange(since, until) with &&)
);
create index wearing_resident on wearing (resident, since);
create index wearing_changed on wearing (changed_at);
comment on table wearing is 'Who wears (or keeps) which device since when; one person at a time';

create function wearing_not_kiosk() returns trigger language plpgsql as $$
begin
    if (select kind from device where key = new.device) = 'kiosk' then
        raise exception 'a kiosk serves many: nobody can wear it' using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger wearing_not_kiosk before insert or update on wearing for each row execute function wearing_not_kiosk();

create table unknown_device (
    device text not null,
    area text not null,
    first_seen timestamptz not null,
    last_seen timestamptz not null,
    messages bigint not null default 1 check (messages >= 1),
    primary key (device, area)
);
comment on table unknown_device is 'Devices that spoke and are not registered, kept for an operator to adopt';

create table policy (
    id text primary key check (id ~ '^[A-Za-z0-9_.:-]{1,64}$'),
    area text references area (code),
    resident int references resident (key) on delete cascade,
    kinds text[],
    repeat_s int not null default 60 check (repeat_s >= 5),
    check ((area is null) <> (resident is null))
);
comment on column policy.kinds is 'Kinds of alert it is for; NULL: all';
comment on column policy.repeat_s is 'Seconds after which the last step is taken again until somebody has answered';

create table policy_step (
    policy text not null references policy (id) on delete cascade,
    step int not null check (step >= 1),
    delay_s real not null check (delay_s >= 0),
    primary key (policy, step)
);
comment on column policy_step.delay_s is 'Seconds after the step before (step 1: after the alert opened)';

create table step_target (
    policy text not null,
    step int not null,
    n int not null check (n >= 1),
    contact text references contact (id),
    contact_rank int check (contact_rank >= 1),
    operators boolean not null default false,
    primary key (policy, step, n),
    foreign key (policy, step) references policy_step (policy, step) on delete cascade,
    check (num_nonnulls(contact, contact_rank, nullif(operators, false)) = 1)
);
comment on column step_target.contact_rank is 'The resident''s contact of this rank';
comment on column step_target.operators is 'The operators of the alert''s area';

create table operator (
    id bigint generated always as identity primary key,
    login text not null unique check (login ~ '^[A-Za-z0-9_.@-]{1,64}$'),
    name text not null check (name <> ''),
    role text not null default 'operator' check (role in ('operator', 'doctor', 'manager', 'auditor')),
    area text not null references area (code),
    language text not null default 'zh' check (language in ('zh', 'en')),
    password_hash text not null,
    disabled_at timestamptz,
    changed_at timestamptz not null default clock_timestamp()
);
comment on column operator.password_hash is 'argon2id';

create table operator_session (
    token_hash bytea primary key,
    operator bigint not null references operator (id) on delete cascade,
    csrf text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
comment on column operator_session.token_hash is 'SHA-256 of the cookie; the cookie itself is stored nowhere';

create table api_token (
    token_hash bytea primary key,
    operator bigint not null references operator (id) on delete cascade,
    name text not null check (name <> ''),
    scopes text[] not null check (cardinality(scopes) > 0),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz
);

create function stamp_change() returns trigger language plpgsql as $$
begin
    new.changed_at := clock_timestamp();
    return new;
end $$;
create function announce_directory() returns trigger language plpgsql as $$
begin
    perform pg_notify('homecare_directory', '');
    return null;
end $$;
do $$
declare t text;
begin
    foreach t in array array['area', 'resident', 'contact', 'device', 'wearing', 'operator'] loop
        execute format('create trigger stamp_change before update on %I for each row execute function stamp_change()', t);
    end loop;
    foreach t in array array['area', 'resident', 'device', 'wearing'] loop
        execute format('create trigger announce_directory after insert or update or delete on %I'
                       ' for each statement execute function announce_directory()', t);
    end loop;
end $$;
