-- Keys made at run time. The secret is never here: `hash` is its keyed BLAKE2b.
create table keys (
    id text not null primary key,
    name text not null,
    hash blob not null unique,
    prefix text not null,
    last4 text not null,
    tenant text not null,
    models text not null,            -- JSON list of names and globs; [] is every model
    limits text not null,            -- as the operator wrote it
    created_at_ms integer not null,  -- Unix clock, as every *_at_ms in these files
    expires_at_ms integer,
    revoked_at_ms integer
) strict;

create index keys_by_name on keys (name);
