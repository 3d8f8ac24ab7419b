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
