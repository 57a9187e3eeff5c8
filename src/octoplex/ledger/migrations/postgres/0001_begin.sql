-- Everything stands in the schema `octoplex`. Amounts are whole nano-dollars; *_ms are
-- milliseconds of the Unix clock.

-- Who asks which target at which price: said once, not copied into every row. Two rows may say
-- the same; what is shown is summed by the names.
create table octoplex.terms (
    id integer generated always as identity primary key,
    key_id text not null,
    key_name text not null,
    route text not null,
    provider text not null,
    model text not null,
    price_version text not null,
    tenant text not null
);

-- Attempts that have ended. state: 1 settled, 2 released; estimated: the provider did not say,
-- or we were killed first; again: its request was counted on this target before.
create table octoplex.ended (
    request_id text not null,
    attempt integer not null,
    at_ms bigint not null,
    terms integer not null,
    reserved_nano bigint not null,
    state smallint not null,
    nano bigint not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    cached_tokens bigint not null,
    cache_write_tokens bigint not null,
    cache_write_1h_tokens bigint not null,
    reasoning_tokens bigint not null,
    estimated boolean not null,
    outcome text not null,
    again boolean not null,
    primary key (request_id, attempt)
);
create index ended_by_time on octoplex.ended using brin (at_ms);

-- Reservations that had to be written before their attempt had ended; removed with its end.
create table octoplex.opened (
    request_id text not null,
    attempt integer not null,
    at_ms bigint not null,
    terms integer not null,
    reserved_nano bigint not null,
    primary key (request_id, attempt)
);

-- The sums of settled attempts per UTC day of the reservation, kept in the same statement.
-- `day` counts from 1970-01-01.
create table octoplex.days (
    day integer not null,
    terms integer not null,
    requests bigint not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    nano bigint not null,
    estimated bigint not null,
    primary key (day, terms)
);

-- Sums that are absurd stay numbers.
create function octoplex.bounded(sum numeric) returns bigint immutable language sql
return least(greatest(sum, -4611686018427387904), 4611686018427387904)::bigint;

-- Requests, as `octoplex logs` shows them, in the order in which they ended. `record` is a JSON
-- array in the order of ledger/rows.py's Record; bodies are not here.
create table octoplex.records (
    seq bigint generated always as identity primary key,
    id text not null unique,
    at_ms bigint not null,
    key_id text not null,
    record text not null
);
create index records_of_key on octoplex.records (key_id, seq);

-- Keys made at run time. The secret is never here: `hash` is its keyed BLAKE2b, `former` that of
-- the secret before, which opens the key as well until `former_until_ms`.
create table octoplex.keys (
    id text primary key,
    name text not null,
    hash bytea not null unique,
    prefix text not null,
    last4 text not null,
    tenant text not null,
    models text not null,
    limits text not null,
    created_at_ms bigint not null,
    expires_at_ms bigint,
    revoked_at_ms bigint,
    region text not null,
    former bytea,
    former_until_ms bigint
);
create unique index keys_in_use on octoplex.keys (name) where revoked_at_ms is null;

-- For people with psql.
create view octoplex.ledger as
select request_id, attempt,
    to_char(to_timestamp(at_ms / 1000.0) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at,
    key_name, tenant, route, provider, model, price_version, reserved_nano,
    case state when 0 then 'reserved' when 1 then 'settled' else 'released' end as state,
    nano, input_tokens, output_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens,
    reasoning_tokens, estimated::integer as estimated, (nano > reserved_nano)::integer as exceeded,
    outcome
from (
    select request_id, attempt, at_ms, terms, reserved_nano, state, nano, input_tokens,
        output_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens,
        estimated, outcome
    from octoplex.ended
    union all
    select request_id, attempt, at_ms, terms, reserved_nano, 0, 0, 0, 0, 0, 0, 0, 0, false, ''
    from octoplex.opened
) as attempts join octoplex.terms on terms.id = attempts.terms;
