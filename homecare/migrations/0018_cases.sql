-- Commands that are asked again until the device answers or their time is over, and how right the rules turned out to be.

alter table command
    add column next_at timestamptz default clock_timestamp(),
    add column request_key text check (length(request_key) between 1 and 200);
update command set next_at = null where replied_at is not null or expires_at <= clock_timestamp();
drop index command_waiting;
create index command_due on command (next_at) where next_at is not null;
create index command_device on command (device, created_at desc);
create unique index command_request on command (device, created_by, request_key) where request_key is not null;
comment on column command.next_at is 'When it is published next; NULL: answered, or its time is over';
comment on column command.request_key is 'The asker''s own name of the request: the same one again is the same command';
comment on column command.sent_at is 'When the broker first had it';

create function command_reply(p_command uuid, p_device int, p_ok boolean, p_result jsonb, p_error text,
    out alert uuid, out name text) returns setof record language plpgsql as $$
-- The first answer counts, and only from the device that was asked; no row: it was not asked, or had answered.
-- What was asked for becomes true with it: the device's interval, or the place of the case it was located for.
declare
    c command; place jsonb := p_result; wanted numeric;
begin
    -- The alert before the command, as whoever writes the log about an alert holds it first.
    perform from alert a where a.id = (select command.alert from command where id = p_command) for update;
    update command set replied_at = clock_timestamp(), ok = p_ok, result = p_result, error = p_error, next_at = null,
        leased_until = null
    where id = p_command and device = p_device and replied_at is null
    returning * into c;
    if not found then return; end if;
    alert := c.alert;
    name := c.name;
    if p_ok and c.name = 'set_interval' and jsonb_typeof(c.args -> 'interval') = 'number' then
        wanted := (c.args ->> 'interval')::numeric;
        update device set interval_s = wanted::real where key = p_device and wanted between 1 and 86400;
    elsif p_ok and c.name = 'locate' and c.alert is not null and jsonb_typeof(place -> 'lat') = 'number'
        and jsonb_typeof(place -> 'lon') = 'number' and coalesce(place ->> 'fix', '') <> 'none' then
        if abs((place ->> 'lat')::numeric) <= 90 and abs((place ->> 'lon')::numeric) <= 180 then
            update alert a set lat = (place ->> 'lat')::float8, lon = (place ->> 'lon')::float8, position_at = clock_timestamp(),
                accuracy = case when jsonb_typeof(place -> 'accuracy') = 'number'
                    and (place ->> 'accuracy')::numeric between 0 and 1e6 then (place ->> 'accuracy')::real end
            where a.id = c.alert and a.state <> 'resolved';
        end if;
    end if;
    return next;
end $$;

create view command_shown as
select c.id, c.created_at, c.name, c.args, c.expires_at, c.created_by, actor_name(c.created_by) as created_name, c.alert,
    c.attempts, c.sent_at, c.replied_at, c.result, c.error, c.device, d.id as device_id, c.request_key,
    case when c.ok then 'answered'
         when c.replied_at is not null then 'refused'
         when c.expires_at <= clock_timestamp() then 'expired'
         when c.sent_at is not null then 'sent'
         else 'waiting' end as state
from command c join device d on d.key = c.device;
comment on column command_shown.state is 'waiting: the broker does not have it yet; sent: the device has not answered; refused: it answered that it did not';

create function rule_precision(p_area text, p_at_root boolean, p_since timestamptz)
returns table (rule text, version int, kind text, hits bigint, "true" bigint, "false" bigint, technical bigint, drill bigint,
    cancelled bigint, undecided bigint) language sql stable as $$
    -- Of the alerts opened since then (in an area and below; NULL: everywhere) what people said each was, by every rule and
    -- version that raised or joined it. An alert counts once for a rule, however often the rule said it.
    select t.rule, t.version, min(a.kind), count(*),
        count(*) filter (where a.outcome = 'true'), count(*) filter (where a.outcome = 'false'),
        count(*) filter (where a.outcome = 'technical'), count(*) filter (where a.outcome = 'drill'),
        count(*) filter (where a.state = 'cancelled'), count(*) filter (where a.state in ('open', 'acknowledged'))
    from alert a
    join lateral (select distinct rule, version from trigger where alert = a.id and state = 'raised') t on true
    where a.opened_at >= p_since
      and (p_area is null or a.area in (select area_within(p_area)) or (a.area is null and p_at_root))
    group by t.rule, t.version order by t.rule, t.version
$$;
create index alert_opened on alert (opened_at);
