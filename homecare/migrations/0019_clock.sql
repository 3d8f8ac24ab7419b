-- All deadlines are the database's time. Where its clock is set back (by hand, by a wrong time server), each of them would come
-- as much later: an hour of silence. So the time is noted, and deadlines move with the clock. Set forward, it is as after
-- an outage: what is overdue takes one step and waits its delay again.

create table clock (
    one boolean primary key default true check (one),
    seen_at timestamptz not null default clock_timestamp()
);
insert into clock default values;
comment on table clock is 'The latest time seen, one row';

create function clock_check() returns interval language plpgsql as $$
-- By how much the clock was set back since the last look; NULL: it was not. Deadlines have moved by as much then.
declare
    tolerated constant interval := interval '5 seconds';
    was timestamptz; back interval;
begin
    select seen_at into was from clock;
    -- Read often, written once a second: a look at it costs next to nothing.
    if clock_timestamp() between was - tolerated and was + interval '1 second' then return null; end if;
    select seen_at into was from clock for update;
    back := was - clock_timestamp();
    if back <= tolerated then
        update clock set seen_at = greatest(was, clock_timestamp());
        return null;
    end if;
    update clock set seen_at = clock_timestamp();
    update escalation set next_at = next_at - back where next_at is not null;
    update notification set next_at = next_at - back, leased_until = leased_until - back, not_before = not_before - back
    where state = 'pending';
    update command set expires_at = expires_at - back, next_at = next_at - back, leased_until = leased_until - back
    where replied_at is null and next_at is not null;
    update alert set answer_until = answer_until - back, confirm_until = confirm_until - back
    where answer_until is not null or confirm_until is not null;
    insert into log (alert, actor, action, detail)
    values (null, 'system', 'clock.set_back', jsonb_build_object('seconds', extract(epoch from back)));
    return back;
end $$;
comment on function clock_check is 'Called by escalation with every look for what is due';
