-- Answers that hold: an acknowledgement lasts a set time, who goes says when they are there, who cannot says so and the next is
-- called, and an SOS that was taken back is confirmed by somebody.

alter table policy add column answer_s real check (answer_s between 60 and 604800);
comment on column policy.answer_s is 'Seconds an acknowledgement lasts until somebody is there; NULL: by severity, see answer_lasts()';

alter table alert
    add column answer_until timestamptz,
    add column arrived_at timestamptz,
    add column arrived_by text,
    add column confirm_until timestamptz,
    add column confirmed_at timestamptz,
    add column confirmed_by text,
    add check ((arrived_at is null) = (arrived_by is null)),
    add check ((confirmed_at is null) = (confirmed_by is null)),
    add check (answer_until is null or state = 'acknowledged'),
    add check (confirm_until is null or state = 'cancelled');
comment on column alert.answer_until is 'Until then an acknowledgement holds; then it escalates anew. NULL: somebody is there, or nobody acknowledged it';
comment on column alert.confirm_until is 'The wearer took an SOS back; until then somebody may confirm that they are well, then the operators are told';

create function answer_lasts(p_alert uuid) returns interval language sql stable as $$
    select make_interval(secs => coalesce(p.answer_s, case when a.severity in ('critical', 'urgent') then 1800 else 86400 end))
    from alert a left join escalation e on e.alert = a.id left join policy p on p.id = e.policy where a.id = p_alert
$$;

create or replace function alert_reopen(p_alert uuid, p_reason text) returns text language plpgsql as $$
declare was text;
begin
    select state into was from alert where id = p_alert for update;
    if not found then return 'unknown'; end if;
    if was <> 'acknowledged' then return was; end if;
    update alert set state = 'open', acknowledged_at = null, acknowledged_by = null, acknowledged_how = null,
        acknowledged_note = null, answer_until = null, arrived_at = null, arrived_by = null where id = p_alert;
    update escalation set step = 0, round = round + 1, next_at = clock_timestamp() where alert = p_alert;
    insert into log (alert, actor, action, detail)
    values (p_alert, 'system', 'alert.reopened', jsonb_build_object('reason', p_reason));
    return 'open';
end $$;

create or replace function alert_acknowledge(p_alert uuid, p_actor text, p_how text, p_note text) returns text language plpgsql as $$
declare was text; lasts interval;
begin
    select state into was from alert where id = p_alert for update;
    if not found then return 'unknown'; end if;
    if was = 'acknowledged' then return 'already_acknowledged'; end if;
    if was <> 'open' then return 'closed'; end if;
    lasts := answer_lasts(p_alert);
    update alert set state = 'acknowledged', acknowledged_at = clock_timestamp(), acknowledged_by = p_actor,
        acknowledged_how = p_how, acknowledged_note = nullif(p_note, ''), answer_until = clock_timestamp() + lasts
    where id = p_alert;
    update escalation set next_at = clock_timestamp() + lasts where alert = p_alert;
    perform alert_tell(p_alert, 'alert.acknowledged');
    insert into log (alert, actor, action, detail) values (p_alert, p_actor, 'alert.acknowledged',
        jsonb_build_object('how', p_how, 'note', p_note, 'lasts_s', extract(epoch from lasts)));
    return 'acknowledged';
end $$;

create function alert_arrive(p_alert uuid, p_actor text, p_how text, p_note text) returns text language plpgsql as $$
-- Somebody is with the person: the acknowledgement holds until it is resolved. Who comes unannounced acknowledges by it.
declare a alert;
begin
    select * into a from alert where id = p_alert for update;
    if not found then return 'unknown'; end if;
    if a.state = 'open' then perform alert_acknowledge(p_alert, p_actor, p_how, ''); end if;
    if a.state not in ('open', 'acknowledged') then return 'closed'; end if;
    if a.arrived_at is not null then return 'already_arrived'; end if;
    update alert set arrived_at = clock_timestamp(), arrived_by = p_actor, answer_until = null where id = p_alert;
    update escalation set next_at = null where alert = p_alert;
    insert into log (alert, actor, action, detail)
    values (p_alert, p_actor, 'alert.arrived', jsonb_build_object('how', p_how, 'note', p_note));
    return 'arrived';
end $$;

create function alert_decline(p_alert uuid, p_actor text, p_how text, p_note text) returns text language plpgsql as $$
-- "I cannot": where everyone who was told in this step has said so, the next step is due now; who had it gives it back.
declare a alert; e escalation;
begin
    select * into a from alert where id = p_alert for update;
    if not found then return 'unknown'; end if;
    if a.state not in ('open', 'acknowledged') then return 'closed'; end if;
    select * into e from escalation where alert = p_alert;
    insert into log (alert, actor, action, detail) values (p_alert, p_actor, 'alert.declined',
        jsonb_build_object('how', p_how, 'note', p_note, 'step', e.step, 'round', e.round));
    update notification set state = 'dropped', leased_until = null, last_error = 'alert.declined'
    where alert = p_alert and 'contact:' || contact = p_actor and state = 'pending' and leased_until is null;
    if a.state = 'acknowledged' and a.acknowledged_by = p_actor then
        perform alert_reopen(p_alert, 'declined');
        -- Those before it were called already: it goes on where it was.
        update escalation set step = e.step where alert = p_alert;
    elsif a.state = 'open' and not exists (
        select from notification n where n.alert = p_alert and n.step = e.step and n.round = e.round
          and n.type in ('alert.opened', 'alert.escalated') and n.contact is not null
          and not exists (select from log l where l.alert = p_alert and l.action = 'alert.declined'
                          and l.actor = 'contact:' || n.contact and l.detail ->> 'step' = e.step::text
                          and l.detail ->> 'round' = e.round::text)) then
        update escalation set next_at = clock_timestamp() where alert = p_alert;
    end if;
    return 'declined';
end $$;

create or replace function alert_close(p_alert uuid, p_state text, p_actor text, p_how text, p_outcome text, p_note text)
returns text language plpgsql as $$
declare was text; confirmed boolean;
begin
    select state, p_state = 'cancelled' and kind = 'sos' into was, confirmed from alert where id = p_alert for update;
    if not found then return 'unknown'; end if;
    if was in ('resolved', 'cancelled') then return 'closed'; end if;
    -- An SOS that its wearer takes back may have been taken back by somebody else's hand: one of those told makes sure.
    update alert set state = p_state, closed_at = clock_timestamp(), closed_by = p_actor, closed_how = p_how,
        closed_note = nullif(p_note, ''), outcome = p_outcome, answer_until = null,
        confirm_until = case when confirmed then clock_timestamp() + interval '15 minutes' end where id = p_alert;
    update escalation set next_at = (select confirm_until from alert where id = p_alert) where alert = p_alert;
    perform alert_tell(p_alert, 'alert.' || p_state);
    insert into log (alert, actor, action, detail) values (p_alert, p_actor, 'alert.' || p_state,
        jsonb_build_object('how', p_how, 'outcome', p_outcome, 'note', p_note));
    if confirmed then
        insert into log (alert, actor, action, detail)
        select p_alert, 'system', 'alert.confirmation_asked', jsonb_build_object('contact', (
            select contact from notification where alert = p_alert and type = 'alert.cancelled' and contact is not null
            order by step, round, created_at limit 1));
    end if;
    return p_state;
end $$;

create function alert_confirm(p_alert uuid, p_actor text, p_how text, p_well boolean, p_note text) returns text language plpgsql as $$
-- Somebody has spoken with who took an SOS back: they are well, or they need help after all.
declare a alert;
begin
    select * into a from alert where id = p_alert for update;
    if not found then return 'unknown'; end if;
    if a.state <> 'cancelled' or a.kind <> 'sos' then return 'closed'; end if;
    if a.confirmed_at is not null and p_well then return 'already_confirmed'; end if;
    insert into log (alert, actor, action, detail)
    values (p_alert, p_actor, 'alert.confirmed', jsonb_build_object('how', p_how, 'well', p_well, 'note', p_note));
    if p_well then
        update alert set confirm_until = null, confirmed_at = clock_timestamp(), confirmed_by = p_actor where id = p_alert;
        update escalation set next_at = null where alert = p_alert;
        return 'confirmed';
    end if;
    if exists (select from alert where dedup_key = a.dedup_key and state in ('open', 'acknowledged')) then
        -- They have called again meanwhile, and that case has people.
        update alert set confirm_until = null where id = p_alert;
        update escalation set next_at = null where alert = p_alert;
        return 'closed';
    end if;
    update alert set state = 'open', closed_at = null, closed_by = null, closed_how = null, closed_note = null,
        confirm_until = null, acknowledged_at = null, acknowledged_by = null, acknowledged_how = null,
        acknowledged_note = null, arrived_at = null, arrived_by = null where id = p_alert;
    update escalation set step = 0, round = round + 1, next_at = clock_timestamp() where alert = p_alert;
    insert into log (alert, actor, action, detail)
    values (p_alert, 'system', 'alert.reopened', jsonb_build_object('reason', 'not_well'));
    return 'reopened';
end $$;

create function alert_overdue(p_alert uuid) returns text language plpgsql as $$
-- The time of an answer is over: of an acknowledgement, escalation begins anew; of a confirmation, the operators are told.
declare a alert;
begin
    select * into a from alert where id = p_alert for update;
    if a.state = 'acknowledged' then return alert_reopen(p_alert, 'answer_expired'); end if;
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

create or replace view alert_shown as
select a.id, a.number, a.kind, a.metric, a.severity, a.state, a.area, a.dedup_key,
    area_path(a.area, 'zh') as area_zh, area_path(a.area, 'en') as area_en,
    r.id as resident_id, r.name as resident_name, r.phone as resident_phone, r.address as resident_address,
    coalesce(d.id, a.device_id) as device_id, d.kind as device_kind,
    a.raised_at, a.opened_at, a.delayed_s, a.reason_code, a.reason_zh, a.reason_en,
    a.lat, a.lon, a.accuracy, a.position_at, a.triggers, a.last_trigger_at, a.cleared_at,
    a.acknowledged_at, a.acknowledged_by, actor_name(a.acknowledged_by) as acknowledged_name,
    a.acknowledged_how, a.acknowledged_note,
    a.closed_at, a.closed_by, actor_name(a.closed_by) as closed_name, a.closed_how, a.closed_note, a.outcome,
    coalesce(e.step, 0) as step, coalesce(e.round, 0) as round, e.next_at,
    -- Each contact once, with the latest word on reaching them.
    coalesce((select jsonb_agg(to_jsonb(t) - 'created_at' order by t.step, t.created_at) from (
        select distinct on (n.contact, n.area, n.channel_kind) c.name, c.role, c.phone, n.channel_kind as channel, n.state,
            n.step, n.attempts, n.created_at
        from notification n left join contact c on c.id = n.contact
        where n.alert = a.id and n.type in ('alert.opened', 'alert.escalated')
        order by n.contact, n.area, n.channel_kind, n.created_at desc) t), '[]') as told,
    coalesce((select jsonb_agg(jsonb_build_object('name', c.name, 'role', c.role, 'operators', t.operators) order by t.n)
        from step_target t
        left join resident_contact rc on rc.resident = a.resident and rc.rank = t.contact_rank
        left join contact c on c.id = coalesce(t.contact, rc.contact)
        where e.next_at is not null and t.policy = e.policy
          and t.step = least(e.step + 1, (select max(step) from policy_step where policy = e.policy))
          and (t.operators or c.id is not null)), '[]') as next_to,
    exists (select from notification n where n.alert = a.id and n.channel_kind = 'console' and n.state = 'pending')
        as console_waiting,
    a.answer_until, a.arrived_at, a.arrived_by, actor_name(a.arrived_by) as arrived_name,
    a.confirm_until, a.confirmed_at, a.confirmed_by, actor_name(a.confirmed_by) as confirmed_name
from alert a
left join resident r on r.key = a.resident
left join device d on d.key = a.device
left join escalation e on e.alert = a.id;
