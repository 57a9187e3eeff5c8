-- One row per request, as `octoplex logs` shows it. Bodies are not here.
-- `record` is a JSON array, in the order of ledger/rows.py's Record: three values to
-- bind instead of twenty-six, and half the size of an object.
create table requests (
    seq integer not null primary key,
    id text not null unique,
    key_id text not null,
    record text not null
) strict;

create index requests_by_key on requests (key_id, seq);

-- For people with a SQLite shell.
create view records as
select seq, id,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(record, '$[1]') / 1000.0, 'unixepoch') as at,
    json_extract(record, '$[3]') as key,
    json_extract(record, '$[4]') as face,
    json_extract(record, '$[5]') as op,
    json_extract(record, '$[6]') as route,
    json_extract(record, '$[7]') as model,
    json_extract(record, '$[8]') as target,
    json_extract(record, '$[9]') as status,
    json_extract(record, '$[10]') as outcome,
    json_extract(record, '$[12]') as total_s,
    json_extract(record, '$[15]') as input_tokens,
    json_extract(record, '$[16]') as output_tokens,
    json_extract(record, '$[18]') as nano,
    json_extract(record, '$[21]') as error_code
from requests;
