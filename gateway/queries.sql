-- name: horizon
-- Everything changed before this moment is visible by now: a change is stamped after its transaction began, and the
-- oldest one still running bounds what may yet appear. Ten seconds for transactions of roles we may not see.
select extract(epoch from least(clock_timestamp(), oldest_transaction()) - interval '10 seconds')::double precision

-- name: devices_changed
-- Devices that changed, or whose wearings did, since a moment (seconds since 1970; null: all), with all their wearings.
select device.key, device.id, device.area, device.kind, device.interval_s, device.revoked_at is not null,
       coalesce(array_agg(wearing.resident order by wearing.since) filter (where wearing.id is not null), '{}'),
       coalesce(array_agg((extract(epoch from wearing.since) * 1000)::bigint order by wearing.since)
                filter (where wearing.id is not null), '{}'),
       coalesce(array_agg((extract(epoch from wearing.until) * 1000)::bigint order by wearing.since)
                filter (where wearing.id is not null), '{}')
from device left join wearing on wearing.device = device.key
where %(since)s::double precision is null
   or device.changed_at >= to_timestamp(%(since)s)
   or exists (select from wearing w where w.device = device.key and w.changed_at >= to_timestamp(%(since)s))
group by device.key

-- name: residents_changed
select key, id, card from resident
where %(since)s::double precision is null or changed_at >= to_timestamp(%(since)s)

-- name: areas
select code from area

-- name: size
select (select count(*) from device), (select count(*) from wearing), (select count(*) from resident)
