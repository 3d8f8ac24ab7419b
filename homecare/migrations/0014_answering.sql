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
