-- Whose keys asked: the team or organisation that a key belonged to then, '' for none.
drop view ledger;

create table terms_2 (
    id integer not null primary key,
    key_id text not null,
    key_name text not null,
    route text not null,
    provider text not null,
    model text not null,
    price_version text not null,
    tenant text not null,
    unique (key_id, key_name, route, provider, model, price_version, tenant)
) strict;
insert into terms_2
select id, key_id, key_name, route, provider, model, price_version, '' from terms;
drop table terms;
alter table terms_2 rename to terms;

-- For people with a SQLite shell.
create view ledger as
select request_id, attempt, strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch') as at,
    key_name, tenant, route, provider, model, price_version, reserved_nano,
    case state when 0 then 'reserved' when 1 then 'settled' else 'released' end as state,
    nano, input_tokens, output_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens,
    reasoning_tokens, estimated, nano > reserved_nano as exceeded, outcome, seq
from attempts join terms on terms.id = attempts.terms;
