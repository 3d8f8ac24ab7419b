-- How an alert comes to be, and what people (and devices, and the system) may do with it. Every way in — page, API, link, event — calls these,
-- so that a race between two of them has one outcome, and the log has it. Each returns what happened by name.

create function area_nearest(p_code text) returns text language sql stable as $$
    -- Whose operators have what happens in an area that the directory may not know: itself; else the nearest that
    -- contains it by its code (52, 5202, 520201: administrative codes nest); else the root. NULL: no area at all.
    select code from area
    order by starts_with(p_code, code) desc, (starts_with(p_code, code))::int * length(code) desc, (parent is null) desc, code
    limit 1
$$;

create function alert_reopen(p_alert uuid, p_reason text) returns text language plpgsql as $$
declare was text;
begin
    select state into was from alert where id = p_alert for update;
    if not found then return 'unknown'; end if;
    if was <> 'acknowledged' then return was; end if;
    update alert set state = 'open', acknowledged_at = null, acknowledged_by = null, acknowledged_how = null,
        acknowledged_note = null where id = p_alert;
    update escalation set step = 0, round = round + 1, next_at = clock_timestamp() where alert = p_alert;
    insert into log (alert, actor, action, detail)
    values (p_alert, 'system', 'alert.reopened', jsonb_build_object('reason', p_reason));
    return 'open';
end $$;
comment on function alert_reopen is 'An acknowledged alert needs people again: escalation begins anew, the log keeps who had it';

create function severity_rank(p_severity text) returns int language sql immutable as $$
    select array_position(array['info', 'warning', 'urgent', 'critical'], p_severity)
$$;

create function alert_raise(p_trigger bigint, out alert_id uuid, out outcome text) language plpgsql as $$
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
    select received, position, ts into e from event where id = t.event;
    select id, area into p from device where key = t.device;
    v_device := coalesce(t.device_id, p.id);
    v_area := coalesce((select area from resident where key = t.resident), p.area, area_nearest(coalesce(t.area, '')));
    v_key := t.kind || ':' || t.rule || ':' || coalesce('r' || t.resident, 'd' || v_device, 'a' || v_area, '');
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

create function alert_tell(p_alert uuid, p_type text) returns void language sql as $$
    -- Tell everyone who was told of the alert, once; what has not gone out yet need not go.
    with told as (
        select distinct channel_kind, channel, contact from notification
        where alert = p_alert and type in ('alert.opened', 'alert.escalated') and channel is not null
          and (state = 'delivered' or attempts > 0 or leased_until > clock_timestamp())),
    unsent as (
        update notification set state = 'dropped', leased_until = null, last_error = p_type
        where alert = p_alert and type in ('alert.opened', 'alert.escalated') and state = 'pending')
    insert into notification (alert, type, step, round, channel_kind, channel, contact)
    select p_alert, p_type, coalesce(e.step, 0), coalesce(e.round, 0), told.channel_kind, told.channel, told.contact
    from told left join escalation e on e.alert = p_alert
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
declare
    a alert; of_device boolean;
begin
    select * into a from alert where id = p_alert for update;
    if not found then return 'unknown'; end if;
    if a.state in ('resolved', 'cancelled') then return 'closed'; end if;
    of_device := a.kind in ('silence', 'battery', 'device', 'outage');
    -- One case may hold several series, systolic and diastolic, or several devices of one person: it is over when the last
    -- word on each is "cleared". Of a device's own state the last word is the last, whether a reading or an event said it.
    if exists (
        select from (
            select distinct on (device, series) state
            from (select id, device, state, case when not of_device then concat_ws(' ', metric, evidence ->> 'side') end as series
                  from trigger where alert = p_alert) of_case
            order by device, series, id desc) last_words
        where state = 'raised') then
        return 'partly_cleared';
    end if;
    update alert set cleared_at = p_at where id = p_alert;
    -- A device that is back needs nobody; a person whose reading is back within limits still does.
    if of_device then
        return alert_close(p_alert, 'resolved', 'system', 'cleared', 'technical', null);
    end if;
    insert into log (alert, actor, action, detail)
    values (p_alert, 'system', 'alert.cleared', jsonb_build_object('at', p_at));
    return 'cleared';
end $$;

create function alert_note(p_alert uuid, p_actor text, p_note text) returns text language plpgsql as $$
begin
    if not exists (select from alert where id = p_alert) then return 'unknown'; end if;
    insert into log (alert, actor, action, detail)
    values (p_alert, p_actor, 'alert.noted', jsonb_build_object('note', p_note));
    return 'noted';
end $$;
