-- From an event or a trigger to a contact who answered.

create table alert (
    id uuid primary key default gen_random_uuid(),
    number bigint generated always as identity unique,
    dedup_key text not null,
    kind text not null check (kind in ('sos', 'fall', 'assist', 'vital', 'change', 'score', 'silence', 'routine',
        'place', 'wander', 'battery', 'device', 'home', 'outage')),
    metric text,
    severity text not null check (severity in ('critical', 'urgent', 'warning', 'info')),
    state text not null default 'open' check (state in ('open', 'acknowledged', 'resolved', 'cancelled')),
    resident int references resident (key),
    device int references device (key),
    device_id text,
    area text references area (code),
    raised_at timestamptz not null,
    opened_at timestamptz not null default clock_timestamp(),
    delayed_s real not null default 0 check (delayed_s >= 0),
    reason_code text not null,
    reason_zh text not null,
    reason_en text not null,
    lat double precision,
    lon double precision,
    accuracy real,
    position_at timestamptz,
    triggers int not null default 1 check (triggers >= 1),
    last_trigger_at timestamptz not null default clock_timestamp(),
    cleared_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text,
    acknowledged_how text,
    acknowledged_note text,
    closed_at timestamptz,
    closed_by text,
    closed_how text,
    closed_note text,
    outcome text check (outcome in ('true', 'false', 'drill', 'technical')),
    check ((acknowledged_at is null) = (acknowledged_by is null)),
    check ((closed_at is null) = (closed_by is null)),
    check ((closed_at is not null) = (state in ('resolved', 'cancelled'))),
    check (state <> 'acknowledged' or acknowledged_at is not null),
    check ((outcome is not null) = (state = 'resolved')),
    check (num_nonnulls(lat, lon, position_at) in (0, 3))
);
create unique index alert_one_open on alert (dedup_key) where state in ('open', 'acknowledged');
create index alert_open_area on alert (area) where state in ('open', 'acknowledged');
create index alert_resident on alert (resident, opened_at desc);
comment on table alert is 'The case people work on';
comment on column alert.raised_at is 'When the first trigger happened, by the device''s clock where it is right';
comment on column alert.delayed_s is 'Seconds from raised_at to the receipt of what raised it';
comment on column alert.area is 'Whose operators have it; NULL where neither device nor topic names an area of the directory';
comment on column alert.cleared_at is 'When what raised it was over (a vital sign back within limits); people still decide';

create table event (
    id bigint generated always as identity primary key,
    device_id text not null,
    device int references device (key),
    resident int references resident (key),
    area text not null,
    event text not null check (event in ('sos', 'fall', 'cancel', 'assist', 'check_in', 'taken_off', 'put_on', 'low_battery',
        'power_lost', 'power_restored', 'tamper', 'smoke', 'gas', 'water', 'door', 'bed_exit')),
    boot int,
    seq int,
    of_seq int,
    service text check (service in ('health', 'housekeeping', 'shopping', 'other')),
    ts timestamptz not null,
    claimed bigint,
    received timestamptz not null,
    committed timestamptz not null default clock_timestamp(),
    flags smallint not null,
    "values" jsonb not null default '{}',
    position jsonb,
    alert uuid references alert (id),
    unique (device_id, boot, seq),
    check ((boot is null) = (seq is null)),
    check (boot is not null or event in ('sos', 'fall'))
);
create index event_resident on event (resident, ts);
create index event_device on event (device, ts);
comment on column event.device_id is 'Who it is from, by the topic; may be unregistered';
comment on column event.area is 'The area in the topic';
create index event_alert on event (alert) where alert is not null;
create index event_cancel on event (device_id, boot, of_seq) where event = 'cancel';
comment on column event.flags is 'As sample.flags';
comment on column event.of_seq is 'For cancel: the event of the same device and boot that is taken back';
comment on column event.alert is 'The alert it opened or joined; for cancel: the one it is about';

create table trigger (
    id bigint generated always as identity primary key,
    key text not null unique,
    at timestamptz not null,
    rule text not null,
    version int not null,
    kind text not null,
    metric text,
    severity text not null check (severity in ('critical', 'urgent', 'warning', 'info')),
    state text not null check (state in ('raised', 'cleared')),
    device int references device (key),
    device_id text,
    resident int references resident (key),
    area text,
    event bigint references event (id),
    evidence jsonb not null,
    zh text not null,
    en text not null,
    created_at timestamptz not null default clock_timestamp(),
    handled_at timestamptz,
    alert uuid references alert (id)
);
create index trigger_waiting on trigger (id) where handled_at is null;
create index trigger_alert on trigger (alert);
-- The last trigger of every series, in the order in which it is asked for when the rules start.
create index trigger_series on trigger (device, resident, rule, metric, (evidence ->> 'side'), at desc, id desc)
    where event is null and device is not null;
comment on table trigger is 'What a rule or an event says calls for people, with its evidence; key makes replays harmless';
comment on column trigger.handled_at is 'When it opened or joined an alert, or was recorded without one';

create table escalation (
    alert uuid primary key references alert (id) on delete cascade,
    policy text references policy (id) on delete set null,
    step int not null default 0 check (step >= 0),
    round int not null default 0 check (round >= 0),
    next_at timestamptz
);
create index escalation_due on escalation (next_at) where next_at is not null;
comment on column escalation.step is 'The last step taken; 0: none yet';
comment on column escalation.round is 'Grows with every repeat of the last step and every start anew: (step, round) is taken once';
comment on column escalation.next_at is 'When the next step is due; NULL: stopped, because somebody answered or it is over';

create table notification (
    id uuid primary key default gen_random_uuid(),
    alert uuid references alert (id) on delete cascade,
    type text not null check (type in ('alert.opened', 'alert.escalated', 'alert.acknowledged', 'alert.resolved',
        'alert.cancelled', 'test')),
    step int not null default 0,
    round int not null default 0,
    channel_kind text not null,
    channel bigint references channel (id) on delete set null,
    contact text references contact (id) on delete set null,
    area text references area (code),
    body text,
    state text not null default 'pending' check (state in ('pending', 'delivered', 'dead', 'dropped')),
    created_at timestamptz not null default clock_timestamp(),
    next_at timestamptz not null default now(),
    attempts int not null default 0 check (attempts >= 0),
    leased_until timestamptz,
    not_before timestamptz,
    delivered_at timestamptz,
    last_error text,
    check (alert is not null or type = 'test'),
    check ((state = 'delivered') = (delivered_at is not null))
);
create unique index notification_once on notification (alert, type, step, round, channel, contact, area) nulls not distinct
    where alert is not null;
create index notification_due on notification (next_at) where state = 'pending';
create index notification_pending on notification (alert) where state = 'pending';
comment on table notification is 'The outbox: one message to one contact by one channel; id is the webhook-id';
comment on column notification.channel_kind is 'webhook, or console for the operators of area';
comment on column notification.body is 'The exact bytes sent, fixed at the first attempt so that every retry is the same';
comment on column notification.leased_until is 'A sender has it until then; after that it died and another may send';
comment on column notification.not_before is 'The endpoint asked (Retry-After) not to be called before';
comment on column notification.state is 'dead: given up, a person must look; dropped: no longer needed, last_error says why';

create table attempt (
    id bigint generated always as identity primary key,
    notification uuid not null references notification (id) on delete cascade,
    at timestamptz not null default clock_timestamp(),
    took_ms int not null check (took_ms >= 0),
    outcome text not null check (outcome in ('delivered', 'refused', 'failed', 'gone')),
    status int,
    error text
);
create index attempt_notification on attempt (notification);
comment on column attempt.outcome is 'refused: answered, but not 2xx; failed: no answer; gone: 410, the endpoint is disabled';

create table command (
    id uuid primary key default gen_random_uuid(),
    device int not null references device (key),
    name text not null check (name in ('locate', 'ring', 'call', 'set_interval', 'test')),
    args jsonb not null default '{}',
    expires_at timestamptz not null,
    created_at timestamptz not null default clock_timestamp(),
    created_by text not null,
    alert uuid references alert (id),
    attempts int not null default 0 check (attempts >= 0),
    leased_until timestamptz,
    sent_at timestamptz,
    replied_at timestamptz,
    ok boolean,
    result jsonb,
    error text,
    check ((replied_at is null) = (ok is null))
);
create index command_waiting on command (created_at) where sent_at is null and replied_at is null;

create table log (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    alert uuid references alert (id),
    actor text not null check (actor ~ '^(system|operator:.+|contact:.+|device:.+|token:.+)$'),
    action text not null check (action ~ '^[a-z_.]+$'),
    detail jsonb not null default '{}'
);
create index log_alert on log (alert, id);
comment on table log is 'Append-only: every trigger, step, attempt, answer, change, view of a person';

create function log_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the log is append-only' using errcode = 'insufficient_privilege';
end $$;
create trigger log_is_append_only before update or delete or truncate on log
    for each statement execute function log_is_append_only();

-- Wake-ups. They may be lost or coalesced: polling is the truth.
create function announce() returns trigger language plpgsql as $$
begin
    perform pg_notify(tg_argv[0], '');
    return null;
end $$;
create trigger announce after insert on trigger for each statement execute function announce('homecare_trigger');
create trigger announce after insert on escalation for each statement execute function announce('homecare_escalation');
create trigger announce after insert on notification for each statement execute function announce('homecare_outbox');
create trigger announce after insert on command for each statement execute function announce('homecare_command');
create trigger announce after insert on log for each statement execute function announce('homecare_log');
