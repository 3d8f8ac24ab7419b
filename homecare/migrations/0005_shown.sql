-- Alerts as people see them: with the names, who was told, who is next. One view for pages, links and the API.

create function actor_name(p_actor text) returns text language sql stable as $$
    select case split_part(p_actor, ':', 1)
        when 'operator' then (select name from operator where login = substr(p_actor, 10))
        when 'contact' then (select name from contact where id = substr(p_actor, 9))
    end
$$;
comment on function actor_name is 'The name of the operator or contact behind log.actor; NULL for others and for who is gone';

create function area_path(p_code text, p_language text) returns text language sql stable as $$
    select string_agg(case p_language when 'zh' then area.name_zh else area.name_en end,
                      case p_language when 'zh' then '' else ', ' end
                      order by case p_language when 'zh' then -distance else distance end)
    from area_above(p_code) join area using (code) where distance <= 1
$$;
comment on function area_path is 'An area and the one above it, in the order of the language';

create index alert_closed on alert (closed_at) where closed_at is not null;

create view alert_shown as
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
        as console_waiting
from alert a
left join resident r on r.key = a.resident
left join device d on d.key = a.device
left join escalation e on e.alert = a.id;
comment on column alert_shown.console_waiting is 'A notification to the operators'' pages that no page has confirmed yet';
