-- name: demo_facts
-- What is stored about the event `seq` of a device, and the alert it opened.
select
    (select count(*) from event where device_id = %(device)s and seq = %(seq)s) as events,
    (select count(*) from trigger where alert = %(alert)s) as triggers,
    (select array_agg(a.kind || ': ' || a.reason_en) from alert a) as alerts,
    alert.kind, alert.state, alert.acknowledged_by,
    escalation.step, abs(extract(epoch from escalation.next_at - alert.answer_until)) < 1 as held,
    (select count(*) from notification n where n.alert = alert.id and type = 'alert.opened'
        and channel_kind = 'webhook') as opened,
    (select count(*) from notification n where n.alert = alert.id and type = 'alert.escalated') as escalated,
    (select count(*) from notification n where n.alert = alert.id and type = 'alert.acknowledged') as acknowledged,
    (select count(*) from notification n where n.alert = alert.id and channel_kind = 'webhook'
        and state <> 'delivered') as undelivered,
    (select count(*) from attempt join notification n on n.id = attempt.notification
        where n.alert = alert.id and n.channel_kind = 'webhook') as attempts,
    (select count(*) from sample join device on device.key = sample.device
        where device.id = %(device)s and seq <> %(seq)s) as telemetry_samples,
    (select count(*) from (select from sample group by device, boot, seq, part having count(*) > 1) twice) as doubled_samples,
    (select count(*) from log where log.alert = %(alert)s) as log_lines,
    (select count(*) from quarantine) as quarantined
from alert left join escalation on escalation.alert = alert.id where alert.id = %(alert)s

-- name: dead_letters
-- The oldest first, of one area and all below it (NULL: everywhere).
select * from dead_letter where %(area)s::text is null or area in (select area_within(%(area)s))
order by created_at limit %(most)s

-- name: replay_letter
select notification_replay(%(id)s, 'system', 'command')

-- name: dismiss_letter
select notification_dismiss(%(id)s, 'system', 'command', %(reason)s)

-- name: webhooks_of
-- A contact's webhooks; no row at all where there is no such contact.
select k.id, k.rank, substring(k.address from '^[^:]+://[^/?#]+') as endpoint,
    case when k.previous_secret_until > clock_timestamp() then k.previous_secret_until end as rotating_until
from contact c left join channel k on k.contact = c.id and k.kind = 'webhook' where c.id = %(contact)s order by k.rank
for update of c

-- name: rotate_secret
-- The old one goes on signing beside the new one; where it is to end at once, it is forgotten.
update channel set secret = %(secret)s,
    previous_secret = case when %(overlap_h)s > 0 then secret end,
    previous_secret_until = case when %(overlap_h)s > 0 then clock_timestamp() + make_interval(hours => %(overlap_h)s) end
where id = %(channel)s

-- name: record
insert into log (actor, action, detail) values ('system', %(action)s, %(detail)s)

-- name: area_known
select exists (select from area where code = %(area)s)

-- name: rule_precision
select * from rule_precision(%(area)s::text, false, %(since)s)
