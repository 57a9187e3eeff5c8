-- Files and batches of callers. *_at are seconds of the Unix clock, as their APIs say them.
-- What a file holds lies beside this file, in the folder `files`.
create table files (
    seq integer not null primary key,
    id text not null unique,
    key_id text not null,       -- whose it is; '' without keys
    created_at integer not null,
    expires_at integer not null,
    bytes integer not null,
    filename text not null,
    purpose text not null
) strict;

create index files_by_key on files (key_id, seq);
create index files_by_end on files (expires_at);

create table batches (
    seq integer not null primary key,
    id text not null unique,
    key_id text not null,
    face text not null,         -- the dialect of its lines
    created_at integer not null,
    open integer not null,      -- 1: something is still to be done
    row text not null           -- `Batch` as JSON
) strict;

create index batches_by_key on batches (key_id, face, seq);
create index batches_by_age on batches (created_at) where not open;
