-- What people (and devices, and the system) may do with an alert. Every way in — page, API, link, event — calls these,
-- so that a race between two of them has one outcome, and the log has it. Each returns what happened by name.

create function alert_tell(p_alert uuid, p_type text) returns void language sql as $$
    -- Tell everyone who was told of the alert, once; what has not gone out yet need not go.
    with told as (
        select distinct channel_kind, channel, contact from notification
        where alert = p_alert and type in ('alert.opened', 'alert.escalated') and channel is not null
          and (state = 'delivered' or attempts > 0 or leased_until > clock_timestamp())),
    unsent as (
        update notification set state = 'dropped', leased_until = null, last_error = p_type
        where alert = p_alert and type in ('alert.opened', 'alert.escalated') and state = 'pending')
    insert into notification (alert, type, channel_kind, channel, contact)
    select p_alert, p_type, channel_kind, channel, contact from told
    on conflict do nothing
$$;

create function alert_acknowledge(p_alert uuid, p_actor text, p_how text, p_note text) returns text language plpgsql as $$
declare was text;
begin
    select state into was from alert where id = p_alert for update;
    if not found then return 'unknown'; end if;
    if was = 'acknowledged' then return 'already_acknowledged'; end if;
    if was <> 'open' then return 'closed'; end if;
    update alert set state = 'acknowledged', acknowledged_at = clock_timestamp(), acknowledged_by = p_actor,
        acknowledged_how = p_how, acknowledged_note = nullif(p_note, '') where id = p_alert;
    update escalation set next_at = null where alert = p_alert;
    perform alert_tell(p_alert, 'alert.acknowledged');
    insert into log (alert, actor, action, detail)
    values (p_alert, p_actor, 'alert.acknowledged', jsonb_build_object('how', p_how, 'note', p_note));
    return 'acknowledged';
end $$;

create function alert_close(p_alert uuid, p_state text, p_actor text, p_how text, p_outcome text, p_note text)
returns text language plpgsql as $$
declare was text;
begin
    select state into was from alert where id = p_alert for update;
    if not found then return 'unknown'; end if;
    if was in ('resolved', 'cancelled') then return 'closed'; end if;
    update alert set state = p_state, closed_at = clock_timestamp(), closed_by = p_actor, closed_how = p_how,
        closed_note = nullif(p_note, ''), outcome = p_outcome where id = p_alert;
    update escalation set next_at = null where alert = p_alert;
    perform alert_tell(p_alert, 'alert.' || p_state);
    insert into log (alert, actor, action, detail) values (p_alert, p_actor, 'alert.' || p_state,
        jsonb_build_object('how', p_how, 'outcome', p_outcome, 'note', p_note));
    return p_state;
end $$;

create function alert_resolve(p_alert uuid, p_actor text, p_how text, p_outcome text, p_note text)
returns text language sql as $$
    select alert_close(p_alert, 'resolved', p_actor, p_how, p_outcome, p_note)
$$;

create function alert_cancel(p_alert uuid, p_actor text, p_how text, p_note text) returns text language sql as $$
    select alert_close(p_alert, 'cancelled', p_actor, p_how, null, p_note)
$$;

create function alert_clear(p_alert uuid, p_at timestamptz) returns text language plpgsql as $$
declare a alert;
begin
    select * into a from alert where id = p_alert for update;
    if not found then return 'unknown'; end if;
    if a.state in ('resolved', 'cancelled') then return 'closed'; end if;
    update alert set cleared_at = p_at where id = p_alert;
    insert into log (alert, actor, action, detail)
    values (p_alert, 'system', 'alert.cleared', jsonb_build_object('at', p_at));
    -- A device that is back needs nobody; a person whose reading is back within limits still does.
    if a.kind in ('silence', 'battery', 'device', 'outage') then
        return alert_close(p_alert, 'resolved', 'system', 'cleared', 'technical', null);
    end if;
    return 'cleared';
end $$;

create function alert_note(p_alert uuid, p_actor text, p_note text) returns text language plpgsql as $$
begin
    if not exists (select from alert where id = p_alert) then return 'unknown'; end if;
    insert into log (alert, actor, action, detail)
    values (p_alert, p_actor, 'alert.noted', jsonb_build_object('note', p_note));
    return 'noted';
end $$;
