-- What could not be kept comes in any size: its raw bytes are compressed the cheap way where this build of PostgreSQL has it.
do $$
begin
    alter table quarantine alter column payload set compression lz4;
exception when feature_not_supported then
    raise notice 'no lz4 in this PostgreSQL: the quarantine is compressed the usual way';
end $$;
