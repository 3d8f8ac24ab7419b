-- Evidence: the log's rows are chained by hash, one chain per alert (and per actor for what is about no alert), and sealed
-- day by day with a key that the database does not have. Whoever changes, removes or reorders a row is found out.
--
-- A row's hash covers its place, its chain, the hash before it, and the hash of its detail rather than the detail: a person can
-- be forgotten (detail and salt emptied) without breaking the chain.

alter table log
    add column chain text,
    add column place bigint,
    add column salt bytea,
    add column detail_hash bytea,
    add column hash bytea;
comment on column log.chain is 'The alert''s id; for what is about no alert, the actor';
comment on column log.place is '1, 2, … within its chain';
comment on column log.salt is 'Random, part of detail_hash, so that an erased detail cannot be guessed from it; NULL: erased';
comment on column log.detail_hash is 'SHA-256 of salt and detail as text';
comment on column log.hash is 'SHA-256 of the hash before (none for the first), and of log_line()';

create table log_chain (
    chain text primary key,
    place bigint not null,
    hash bytea not null
);
comment on table log_chain is 'The last row of every chain: without it the end of one could be cut off';

create function log_line(l log) returns text language sql stable as $$
    -- What of a row is hashed, in one unmistakable text; times in UTC to the microsecond.
    select jsonb_build_array(l.chain, l.place, l.id, to_char(l.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
        l.alert, l.actor, l.action, encode(l.detail_hash, 'hex'))::text
$$;

create function log_detail_hash(p_salt bytea, p_detail jsonb) returns bytea language sql immutable as $$
    select sha256(p_salt || convert_to(p_detail::text, 'UTF8'))
$$;

create function log_enchain(inout l log) language plpgsql as $$
declare before log_chain;
begin
    l.chain := coalesce(l.alert::text, l.actor);
    insert into log_chain as c values (l.chain, 0, '') on conflict (chain) do nothing;
    -- Held until commit: rows of a chain come one after the other.
    select * into before from log_chain where chain = l.chain for update;
    l.place := before.place + 1;
    l.salt := uuid_send(gen_random_uuid());
    l.detail_hash := log_detail_hash(l.salt, l.detail);
    l.hash := sha256(before.hash || convert_to(log_line(l), 'UTF8'));
    update log_chain set place = l.place, hash = l.hash where chain = l.chain;
end $$;

do $$
declare l log;
begin
    alter table log disable trigger log_is_append_only;
    for l in select * from log order by id loop
        l := log_enchain(l);
        update log set chain = l.chain, place = l.place, salt = l.salt, detail_hash = l.detail_hash, hash = l.hash where id = l.id;
    end loop;
    alter table log enable trigger log_is_append_only;
end $$;

alter table log
    alter column chain set not null,
    alter column place set not null,
    alter column detail_hash set not null,
    alter column hash set not null;
create unique index log_place on log (chain, place);

create function log_enchain_as_owner() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
    new := log_enchain(new);
    return new;
end $$;
create trigger log_chained before insert on log for each row execute function log_enchain_as_owner();

create table log_seal (
    number bigint primary key,
    sealed_at timestamptz not null default clock_timestamp(),
    first_id bigint not null,
    last_id bigint not null check (last_id >= first_id),
    rows bigint not null check (rows >= 1),
    digest bytea not null,
    seal bytea not null
);
comment on table log_seal is 'A day of the log, sealed: rows with ids first_id..last_id';
comment on column log_seal.digest is 'SHA-256 of the hashes of its rows in the order of their ids';
comment on column log_seal.seal is 'HMAC-SHA-256 of the seal before and of this one''s numbers and digest, by HOMECARE_SECRET_KEY';
create trigger log_is_append_only before update or delete or truncate on log_seal
    for each statement execute function log_is_append_only();
