-- What the running services may do: read and write, but neither change the schema nor what has been written into the log. They log in as
-- whoever HOMECARE_DATABASE_URL says and become homecare_app; where that role could not be made, they run as who they are.

do $$
begin
    create role homecare_app nologin;
exception
    when duplicate_object or unique_violation then null;  -- another database of this server has it already
    when insufficient_privilege then
        raise warning 'role homecare_app could not be created: let a superuser create it, and run homecare migrate again on an empty database, or grant by hand';
end $$;

create function oldest_transaction() returns timestamptz language sql security definer set search_path = public, pg_temp as $$
    -- When the oldest transaction of this database began that its owner may see; NULL: none runs.
    select min(xact_start) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
$$;

create function retain_chunks(p_days int) returns void language plpgsql security definer set search_path = public, pg_temp as $$
-- Keeps samples and windows for p_days (0: for ever): by a policy of TimescaleDB where that keeps the roll-ups, else now.
declare
    by_policy constant boolean := (select kept_by = 'timescaledb' from rollup_state);
    kept text;
begin
    if p_days <> 0 and p_days < 35 then raise exception 'days must be 0 or 35 at least'; end if;
    foreach kept in array array['sample', 'acceleration'] loop
        if by_policy then
            perform remove_retention_policy(kept::regclass, if_exists => true);
            if p_days > 0 then
                perform add_retention_policy(kept::regclass, drop_after => make_interval(days => p_days));
            end if;
        elsif p_days > 0 then
            perform drop_chunks(kept::regclass, older_than => clock_timestamp() - make_interval(days => p_days));
        end if;
    end loop;
end $$;

do $$
begin
    if not exists (select from pg_roles where rolname = 'homecare_app') then return; end if;
    grant homecare_app to current_user;
    grant usage on schema public to homecare_app;
    grant select, insert, update, delete on all tables in schema public to homecare_app;
    grant usage, select on all sequences in schema public to homecare_app;
    alter default privileges in schema public grant select, insert, update, delete on tables to homecare_app;
    alter default privileges in schema public grant usage, select on sequences to homecare_app;
    revoke insert, update, delete on schema_migration from homecare_app;
    revoke update, delete on log, log_seal from homecare_app;
    revoke insert, update, delete on log_chain from homecare_app;
end $$;
