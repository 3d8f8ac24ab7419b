-- What the rules know over a restart, and how they hear of events.

create table rules_snapshot (
    shard text not null,
    operator text not null,
    part int not null,
    made_of text not null,
    since bigint not null,
    taken_at timestamptz not null default clock_timestamp(),
    state bytea not null,
    primary key (shard, operator, part)
);
alter table rules_snapshot alter column state set storage external;
comment on table rules_snapshot is 'The state of each of the rules'' operators as it was some minutes ago; written by ingest while it runs';
comment on column rules_snapshot.shard is 'Which process of how many: 1/4';
comment on column rules_snapshot.made_of is 'Digest of the rule: a state that another rule made is not taken up';
comment on column rules_snapshot.since is 'Unix ms: what was measured from then on is to be shown to the operator again';
comment on column rules_snapshot.state is 'Compressed arrays by key of the device or resident: see ingest/snapshots.py';

create index event_committed on event (committed, id);

create trigger announce after insert on event for each statement execute function announce('homecare_events');
