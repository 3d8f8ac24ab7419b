-- More ways to a contact than the webhook, and letters that nobody got: seen, sent again, or put aside with a reason.

comment on column channel.kind is 'webhook, email, apprise, device';
comment on column channel.address is 'webhook: its URL; email: the mail address; device: the id of the contact''s own device; else a name for what secret holds';
comment on column channel.secret is 'Encrypted with a key derived from HOMECARE_SECRET_KEY. webhook: what signs; apprise: the whole URL, for it contains tokens';

alter table notification add column replayed_at timestamptz;
comment on column notification.replayed_at is 'When somebody sent a dead letter again: its day of retries begins anew';
create index notification_dead on notification (created_at) where state = 'dead';

create trigger announce_reply after update of replied_at on command
    for each statement execute function announce('homecare_reply');

create function letter_facts(p_contact text, p_area text, p_resident int) returns jsonb language sql stable as $$
    -- What a letter in words says beyond the webhook's body: in whose language, by which clock, about whom, where.
    select jsonb_build_object(
        'language', coalesce((select language from contact where id = p_contact), 'zh'),
        'zone', coalesce((select timezone from area where code = p_area), 'Asia/Shanghai'),
        'area_zh', area_path(p_area, 'zh'), 'area_en', area_path(p_area, 'en'),
        'address', (select address from resident where key = p_resident),
        'phone', (select phone from resident where key = p_resident))
$$;

create view dead_letter as
select n.id, n.type, n.alert, a.number, a.kind, a.severity, a.state as alert_state, r.id as resident_id, r.name as resident_name,
    n.contact, c.name as contact_name, c.phone as contact_phone, n.channel_kind, k.disabled_reason,
    n.created_at, n.attempts, n.last_error, (select max(at) from attempt where notification = n.id) as last_attempt,
    -- Whose operators look after it; NULL: the root's.
    coalesce(a.area, n.area, c.area, (
        select min(of.area) from resident_contact rc join resident of on of.key = rc.resident where rc.contact = n.contact)) as area
from notification n
left join alert a on a.id = n.alert
left join resident r on r.key = a.resident
left join contact c on c.id = n.contact
left join channel k on k.id = n.channel
where n.state = 'dead';

create function notification_hold(p_id uuid) returns notification language plpgsql as $$
-- A dead letter, its alert held first as every change of either does it; NULL: there is no such dead letter (any more).
declare n notification;
begin
    select * into n from notification where id = p_id;
    perform from alert where id = n.alert for share;
    select * into n from notification where id = p_id and state = 'dead' for no key update;
    return n;
end $$;

create function notification_replay(p_id uuid, p_actor text, p_how text) returns text language plpgsql as $$
-- The same bytes under the same id, from now on for another day.
declare n notification;
begin
    n := notification_hold(p_id);
    if n.id is null then return 'not_there'; end if;
    if n.channel is null then return 'channel_deleted'; end if;
    if exists (select from channel where id = n.channel and disabled_at is not null) then return 'channel_disabled'; end if;
    if n.type in ('alert.opened', 'alert.escalated') and (select state from alert where id = n.alert) <> 'open' then
        return 'not_needed';
    end if;
    update notification set state = 'pending', next_at = clock_timestamp(), not_before = null, leased_until = null,
        replayed_at = clock_timestamp() where id = p_id;
    insert into log (alert, actor, action, detail) values (n.alert, p_actor, 'notification.replayed',
        jsonb_build_object('notification', p_id, 'contact', n.contact, 'how', p_how));
    perform pg_notify('homecare_outbox', '');
    return 'replayed';
end $$;

create function notification_dismiss(p_id uuid, p_actor text, p_how text, p_reason text) returns text language plpgsql as $$
declare n notification;
begin
    if btrim(p_reason) = '' then return 'no_reason'; end if;
    n := notification_hold(p_id);
    if n.id is null then return 'not_there'; end if;
    update notification set state = 'dropped', leased_until = null, last_error = 'dismissed' where id = p_id;
    insert into log (alert, actor, action, detail) values (n.alert, p_actor, 'notification.dismissed',
        jsonb_build_object('notification', p_id, 'contact', n.contact, 'how', p_how, 'error', n.last_error,
            'reason', btrim(p_reason)));
    return 'dismissed';
end $$;
