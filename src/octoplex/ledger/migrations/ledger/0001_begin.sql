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

-- Attempts that have ended, one row per commit; never changed. `attempts` is a JSON array
-- of rows: see the view `ended` for what stands where.
create table batches (
    seq integer not null primary key,
    first_id text not null,
    last_id text not null,
    attempts text not null
) strict;

-- What a batch is found by: 'id ' || the first 12 characters of the request ids in it.
create table marks (
    mark text not null,
    seq integer not null references batches (seq),
    primary key (mark, seq)
) strict, without rowid;

-- Reservations that had to be written before their attempt had ended. A row is removed
-- some hundred commits later; what is still open then has been written again.
-- `seq` is that of the batch written with it: the ends of these are in later ones.
create table opened (
    seq integer not null primary key,
    attempts text not null
) strict;

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

-- How the writer writes: one statement is one commit, and one wait for the interpreter.
-- `opened` may be null; `marks` and `days` are JSON arrays; `forget` removes older `opened`.
create view inbox as
select seq, first_id, last_id, attempts, '' as marks, '' as days, '' as opened, 0 as forget
from batches;

create trigger inbox_in instead of insert on inbox begin
    insert into batches (seq, first_id, last_id, attempts)
    select new.seq, new.first_id, new.last_id, new.attempts where new.attempts <> '[]';
    insert into marks (mark, seq) select value, new.seq from json_each(new.marks);
    insert into days (day, terms, requests, input_tokens, output_tokens, nano, estimated)
    select json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
        json_extract(value, '$[6]')
    from json_each(new.days) where true
    on conflict (day, terms) do update set
        requests = requests + excluded.requests,
        input_tokens = min(input_tokens + excluded.input_tokens, 1 << 62),  -- never a float
        output_tokens = min(output_tokens + excluded.output_tokens, 1 << 62),
        nano = min(nano + excluded.nano, 1 << 62),
        estimated = estimated + excluded.estimated;
    delete from opened where new.forget;
    insert into opened (seq, attempts) select new.seq, new.opened where new.opened is not null;
end;

-- One row per attempt. state: 0 reserved, 1 settled, 2 released; estimated 1: the provider
-- did not say, or we were killed first.
create view ended as
select seq,
    json_extract(value, '$[0]') as request_id,
    json_extract(value, '$[1]') as attempt,
    json_extract(value, '$[2]') as at_ms,
    json_extract(value, '$[3]') as terms,
    json_extract(value, '$[4]') as reserved_nano,
    json_extract(value, '$[5]') as state,
    json_extract(value, '$[6]') as nano,
    json_extract(value, '$[7]') as input_tokens,
    json_extract(value, '$[8]') as output_tokens,
    json_extract(value, '$[9]') as cached_tokens,
    json_extract(value, '$[10]') as cache_write_tokens,
    json_extract(value, '$[11]') as cache_write_1h_tokens,
    json_extract(value, '$[12]') as reasoning_tokens,
    json_extract(value, '$[13]') as estimated,
    json_extract(value, '$[14]') as outcome
from batches, json_each(batches.attempts);

create view still_open as
select distinct
    json_extract(value, '$[0]') as request_id,
    json_extract(value, '$[1]') as attempt,
    json_extract(value, '$[2]') as at_ms,
    json_extract(value, '$[3]') as terms,
    json_extract(value, '$[4]') as reserved_nano
from opened, json_each(opened.attempts)
where (json_extract(value, '$[0]'), json_extract(value, '$[1]')) not in (
    select request_id, attempt from ended where seq > (select min(seq) from opened)
);

create view attempts as
select * from ended
union all
select null, request_id, attempt, at_ms, terms, reserved_nano, 0, 0, 0, 0, 0, 0, 0, 0, 0, ''
from still_open;

-- For people with a SQLite shell.
create view ledger as
select request_id, attempt, strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch') as at,
    key_name, route, provider, model, price_version, reserved_nano,
    case state when 0 then 'reserved' when 1 then 'settled' else 'released' end as state,
    nano, input_tokens, output_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens,
    reasoning_tokens, estimated, nano > reserved_nano as exceeded, outcome, seq
from attempts join terms on terms.id = attempts.terms;
