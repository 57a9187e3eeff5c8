-- Money. Amounts are whole nano-dollars; *_ms are milliseconds of the Unix clock.

-- Who asks which target at which price: said once, not copied into every row.
create table terms (
    id integer not null primary key,
    key_id text not null,
    key_name text not null,
    route text not null,
    provider text not null,
    model text not null,
    price_version text not null,
    unique (key_id, key_name, route, provider, model, price_version)
) strict;

-- One row per attempt on a provider. Sorted by request: ids begin with their time,
-- so rows are appended, not scattered.
create table attempts (
    request_id text not null,
    attempt integer not null,
    at_ms integer not null,
    terms integer not null references terms (id),
    reserved_nano integer not null,
    state integer not null,          -- 0 reserved, 1 settled, 2 released
    nano integer not null,
    input_tokens integer not null,
    output_tokens integer not null,
    cached_tokens integer not null,
    cache_write_tokens integer not null,
    cache_write_1h_tokens integer not null,
    reasoning_tokens integer not null,
    estimated integer not null,      -- 1: the provider did not say, or we were killed first
    outcome text not null,
    exceeded integer generated always as (nano > reserved_nano) virtual,
    primary key (request_id, attempt)
) strict, without rowid;

create index attempts_open on attempts (state) where state = 0;

-- The sums of settled attempts per UTC day of the reservation, kept in the same
-- transaction. `day` counts from 1970-01-01.
create table days (
    day integer not null,
    terms integer not null references terms (id),
    requests integer not null,
    input_tokens integer not null,
    output_tokens integer not null,
    nano integer not null,
    estimated integer not null,
    primary key (day, terms)
) strict, without rowid;

-- For people with a SQLite shell.
create view ledger as
select request_id, attempt, strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch') as at,
    key_name, route, provider, model, price_version, reserved_nano,
    case state when 0 then 'reserved' when 1 then 'settled' else 'released' end as state,
    nano, input_tokens, output_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens,
    reasoning_tokens, estimated, exceeded, outcome
from attempts join terms on terms.id = attempts.terms;
