-- Who declines waits for nobody who sleeps; and the pages say whom the next step means, also where it is a role, a rota or the nearest.

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
          -- Who sleeps has not been asked yet, and keeps nobody waiting.
          and not (n.attempts = 0 and n.not_before is not null and n.not_before > clock_timestamp())
          and not exists (select from log l where l.alert = p_alert and l.action = 'alert.declined'
                          and l.actor = 'contact:' || n.contact and l.detail ->> 'step' = e.step::text
                          and l.detail ->> 'round' = e.round::text)) then
        update escalation set next_at = clock_timestamp() where alert = p_alert;
    end if;
    return 'declined';
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
    -- Whom the next step means; a role, a rota or the helpers near by their name, for who that is, the hour decides.
    coalesce((select jsonb_agg(jsonb_build_object('name', coalesce(c.name, o.name),
                'role', coalesce(c.role, t.role, case when t.nearest is not null then 'neighbour' when t.provider is not null then 'service' end),
                'operators', t.operators or t.area_up is not null) order by t.n)
        from step_target t
        left join resident_contact rc on rc.resident = a.resident and rc.rank = t.contact_rank
        left join contact c on c.id = coalesce(t.contact, rc.contact)
        left join rota o on o.id = t.rota
        where e.next_at is not null and t.policy = e.policy
          and t.step = least(e.step + 1, (select max(step) from policy_step where policy = e.policy))
          and (c.id is not null or (t.contact is null and t.contact_rank is null))), '[]') as next_to,
    exists (select from notification n where n.alert = a.id and n.channel_kind = 'console' and n.state = 'pending')
        as console_waiting,
    a.answer_until, a.arrived_at, a.arrived_by, actor_name(a.arrived_by) as arrived_name,
    a.confirm_until, a.confirmed_at, a.confirmed_by, actor_name(a.confirmed_by) as confirmed_name
from alert a
left join resident r on r.key = a.resident
left join device d on d.key = a.device
left join escalation e on e.alert = a.id;
