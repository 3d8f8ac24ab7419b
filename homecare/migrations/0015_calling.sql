-- Whom a step may call: a role, who is on duty, the nearest helpers, a provider, operators further up; and when a contact sleeps.

alter table contact
    add column quiet_from smallint check (quiet_from between 0 and 1439),
    add column quiet_to smallint check (quiet_to between 0 and 1439),
    add column watch_group boolean not null default false,
    add column lat double precision check (lat between -90 and 90),
    add column lon double precision check (lon between -180 and 180),
    add column services text[] not null default '{}'
        check (services <@ array['health', 'housekeeping', 'shopping', 'other']),
    add column accept_within_s real check (accept_within_s between 30 and 86400),
    add column done_within_s real check (done_within_s between 60 and 604800),
    add check ((quiet_from is null) = (quiet_to is null)),
    add check (quiet_from <> quiet_to),
    add check ((lat is null) = (lon is null)),
    add check (not watch_group or lat is not null);
comment on column contact.quiet_from is 'Local minutes of the day; from then to quiet_to what can wait does. Never an SOS, a fall or what is critical';
comment on column contact.watch_group is 'Helps the people near: a step may call the nearest of them';
comment on column contact.lat is 'Where they live, WGS-84, degrees';
comment on column contact.services is 'What they do for people when called by assist';
comment on column contact.accept_within_s is 'Seconds a provider has to accept before the next is asked; NULL: 600';
comment on column contact.done_within_s is 'Seconds from accepting to being there; NULL: 14400';
create index contact_area on contact (area) where area is not null;

create table rota (
    id text primary key check (id ~ '^[A-Za-z0-9_.:-]{1,64}$'),
    area text not null references area (code),
    name text not null check (name <> ''),
    timezone text not null
);
comment on table rota is 'Who is on duty when, by the clock of its time zone';

create table rota_shift (
    rota text not null references rota (id) on delete cascade,
    n int not null check (n >= 1),
    contact text not null references contact (id) on delete cascade,
    days smallint[] check (days <@ array[1, 2, 3, 4, 5, 6, 7]::smallint[] and cardinality(days) > 0),
    from_minute smallint check (from_minute between 0 and 1439),
    to_minute smallint check (to_minute between 0 and 1439),
    starts timestamp,
    ends timestamp check (ends > starts),
    primary key (rota, n),
    check (num_nonnulls(days, from_minute, to_minute) in (0, 3)),
    check (num_nonnulls(starts, ends) in (0, 2)),
    check ((days is null) <> (starts is null))
);
create index rota_shift_contact on rota_shift (contact);
comment on table rota_shift is 'Weekly (days, from_minute, to_minute) or dated (starts, ends); a dated one stands in for the weekly ones';
comment on column rota_shift.days is 'On which a weekly shift begins; 1 is Monday';
comment on column rota_shift.to_minute is 'Not after from_minute: on the day after';
comment on column rota_shift.starts is 'Local time of the rota';

alter table step_target
    drop constraint step_target_check,
    add column role text check (role in ('family', 'neighbour', 'village_doctor', 'grid_worker', 'service', 'other')),
    add column rota text references rota (id),
    add column nearest int check (nearest between 1 and 20),
    add column radius_m real check (radius_m > 0 and radius_m <= 100000),
    add column provider int check (provider >= 1),
    add column area_up int check (area_up between 1 and 15),
    add check (num_nonnulls(contact, contact_rank, nullif(operators, false), role, rota, nearest, provider, area_up) = 1),
    add check ((nearest is null) = (radius_m is null));
comment on column step_target.role is 'The resident''s own contacts of this role, else those of the nearest area upwards that has any';
comment on column step_target.rota is 'Who is on duty';
comment on column step_target.nearest is 'So many of the watch group, the nearest first, within radius_m of the person';
comment on column step_target.provider is 'The provider of this place, from 1, of the service that was called for; nearest area first';
comment on column step_target.area_up is 'The operators of the area so many levels above the alert''s';

create function answer_lasts(p_alert uuid) returns interval language sql stable as $$
    select make_interval(secs => coalesce(p.answer_s,
        case when a.kind = 'assist' then coalesce((
            select max(c.done_within_s) from notification n join contact c on c.id = n.contact
            where n.alert = a.id and n.step = e.step and n.round = e.round and n.type in ('alert.opened', 'alert.escalated')
        ), 14400) end,
        case when a.severity in ('critical', 'urgent') then 1800 else 86400 end))
    from alert a left join escalation e on e.alert = a.id left join policy p on p.id = e.policy where a.id = p_alert
$$;

create function alert_overdue(p_alert uuid) returns text language plpgsql as $$
-- The time of an answer is over: of an acknowledgement, escalation begins anew; of a confirmation, the operators are told.
declare a alert; v_step int; what text;
begin
    select * into a from alert where id = p_alert for update;
    if a.state = 'acknowledged' then
        select step into v_step from escalation where alert = p_alert;
        what := alert_reopen(p_alert, 'answer_expired');
        -- A provider who accepted and did not come is not asked again before the next one.
        if a.kind = 'assist' then update escalation set step = v_step where alert = p_alert; end if;
        return what;
    end if;
    update escalation set next_at = null where alert = p_alert;
    if a.state = 'cancelled' and a.confirm_until is not null then
        update alert set confirm_until = null where id = p_alert;
        insert into notification (alert, type, step, round, channel_kind, area)
        select p_alert, 'alert.cancelled', e.step, e.round, 'console', a.area from escalation e where e.alert = p_alert
        on conflict do nothing;
        insert into log (alert, actor, action) values (p_alert, 'system', 'alert.not_confirmed');
        return 'not_confirmed';
    end if;
    return a.state;
end $$;

create or replace function alert_raise(p_trigger bigint, out alert_id uuid, out outcome text) language plpgsql as $$
-- A raised trigger opens an alert, or joins the one that is open under its dedup_key; outcome: opened, merged.
-- A trigger handled before changes nothing and says what it did: merged.
declare
    t record; e record; p record; a record;
    v_key text; v_area text; v_device text;
begin
    select * into t from trigger where id = p_trigger for update;
    if t.handled_at is not null then
        alert_id := t.alert;
        outcome := 'merged';
        return;
    end if;
    select received, position, ts, case when t.kind = 'assist' then service end as service into e from event where id = t.event;
    select id, area into p from device where key = t.device;
    v_device := coalesce(t.device_id, p.id);
    v_area := coalesce((select area from resident where key = t.resident), p.area, area_nearest(coalesce(t.area, '')));
    v_key := t.kind || ':' || t.rule || ':' || coalesce('r' || t.resident, 'd' || v_device, 'a' || v_area, '');
    -- A call for a doctor and one for shopping are two cases, with other people.
    v_key := v_key || coalesce(':' || e.service, '');
    if e.position is not null then
        select (e.position ->> 'lat')::float8 lat, (e.position ->> 'lon')::float8 lon,
            (e.position ->> 'accuracy')::real accuracy, e.ts ts into p;
    else
        -- Where the device was last: among its newest samples only, for this must not take long.
        select s.lat, s.lon, s.accuracy, s.ts into p
        from (select * from sample where device = t.device and ts > t.at - interval '1 day'
                and ts < t.at + interval '5 minutes' order by ts desc limit 500) s
        where s.lat is not null order by s.ts desc limit 1;
    end if;
    loop
        select * into a from alert where dedup_key = v_key and state in ('open', 'acknowledged') for update;
        exit when found;
        insert into alert (dedup_key, kind, metric, severity, resident, device, device_id, area, raised_at, delayed_s,
            reason_code, reason_zh, reason_en, lat, lon, accuracy, position_at)
        values (v_key, t.kind, t.metric, t.severity, t.resident, t.device, v_device, v_area, t.at,
            greatest(0, extract(epoch from coalesce(e.received, t.created_at) - t.at)),
            t.rule, t.zh, t.en, p.lat, p.lon, p.accuracy, p.ts)
        on conflict (dedup_key) where state in ('open', 'acknowledged') do nothing
        returning id into alert_id;
        exit when found;
    end loop;
    if alert_id is not null then
        outcome := 'opened';
        insert into escalation (alert, next_at) values (alert_id, clock_timestamp());
    else
        outcome := 'merged';
        alert_id := a.id;
        update alert set triggers = triggers + 1, last_trigger_at = clock_timestamp(), cleared_at = null where id = alert_id;
        -- The worst of its reasons is the one people read first.
        update alert set severity = t.severity, metric = t.metric, reason_code = t.rule, reason_zh = t.zh, reason_en = t.en
        where id = alert_id and severity_rank(t.severity) > severity_rank(severity);
        update alert set lat = p.lat, lon = p.lon, accuracy = p.accuracy, position_at = p.ts
        where id = alert_id and p.ts > coalesce(position_at, '-infinity');
    end if;
    update trigger set handled_at = clock_timestamp(), alert = alert_id where id = p_trigger;
    update event set alert = alert_id where id = t.event;
    insert into log (alert, actor, action, detail)
    values (alert_id, 'system', case outcome when 'opened' then 'alert.opened' else 'alert.joined' end,
        jsonb_build_object('trigger', p_trigger, 'rule', t.rule, 'severity', t.severity, 'event', t.event, 'at', t.at));
    if outcome = 'merged' and severity_rank(t.severity) > severity_rank(a.severity) then
        -- Worse than those who were told know: the next step is due now, and an acknowledgement no longer holds.
        if alert_reopen(alert_id, 'severity') = 'open' and a.state = 'open' then
            update escalation set next_at = clock_timestamp() where alert = alert_id;
        end if;
    elsif outcome = 'merged' and t.severity = 'critical' and a.acknowledged_at < clock_timestamp() - interval '10 minutes' then
        -- Pressed again while help is on its way tells nothing new. Later, or on a case that nobody closed, it is another
        -- call for help, and must not join in silence.
        perform alert_reopen(alert_id, 'again');
    end if;
end $$;
