-- Requests, as `octoplex logs` shows them. Bodies are not here.
-- One row per batch: `records` is a JSON array of up to 512 records in the order in which
-- they ended, each an array in the order of ledger/rows.py's Record.
create table batches (
    seq integer not null primary key,
    first_id text not null,
    last_id text not null,
    count integer not null,
    records text not null
) strict;

-- What a batch is found by: 'key ' || the id of a key in it, and 'id ' || the first 12
-- characters of the ids in it (4 seconds share them).
create table marks (
    mark text not null,
    seq integer not null references batches (seq),
    primary key (mark, seq)
) strict, without rowid;

-- How the writer writes: one statement is one transaction, and one wait for the interpreter.
create view inbox as
select seq, first_id, last_id, count, records, '' as marks from batches;

create trigger inbox_in instead of insert on inbox begin
    insert into batches (seq, first_id, last_id, count, records)
    values (new.seq, new.first_id, new.last_id, new.count, new.records);
    insert into marks (mark, seq) select value, new.seq from json_each(new.marks);
end;

-- For people with a SQLite shell.
create view records as
select seq, key as place,
    json_extract(value, '$[0]') as id,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(value, '$[1]') / 1000.0, 'unixepoch') as at,
    json_extract(value, '$[3]') as key,
    json_extract(value, '$[4]') as face,
    json_extract(value, '$[5]') as op,
    json_extract(value, '$[6]') as route,
    json_extract(value, '$[7]') as model,
    json_extract(value, '$[8]') as target,
    json_extract(value, '$[9]') as status,
    json_extract(value, '$[10]') as outcome,
    json_extract(value, '$[12]') as total_s,
    json_extract(value, '$[15]') as input_tokens,
    json_extract(value, '$[16]') as output_tokens,
    json_extract(value, '$[18]') as nano,
    json_extract(value, '$[21]') as error_code
from batches, json_each(batches.records);
