-- What routes learn from, in the order in which it was written: all that the learner does follows.
create table notes (
    id integer primary key autoincrement,
    route text not null,
    at_ms integer not null,
    kind text not null,
    body blob not null
) strict;
create index notes_by_route on notes (route, id);
create index notes_planned on notes (route, id) where kind = 'planned';

-- What decisions and pairs came to, a row a day: decisions themselves are not kept for ever.
create table days (
    route text not null,
    day integer not null,
    requests integer not null,
    moved integer not null,
    saved_nano integer not null,
    pairs integer not null,
    pair_nano integer not null,
    primary key (route, day)
) strict, without rowid;

create table decisions (
    seq integer primary key,
    id text not null,
    route text not null,
    at_ms integer not null,
    body blob not null
) strict;
create index decisions_by_id on decisions (id);
create index decisions_by_time on decisions (at_ms);

-- `note` is the id of the note after which it was made; the body goes when newer ones are there.
create table policies (
    seq integer primary key autoincrement,
    route text not null,
    version integer not null,
    note integer not null,
    at_ms integer not null,
    kind text not null,
    pairs integer not null,
    share real not null,
    why text not null,
    digest text not null,
    body blob,
    unique (route, version)
) strict;

create table switches (
    route text primary key,
    paused integer not null,
    who text not null,
    at_ms integer not null
) strict, without rowid;

-- The last word of a caller on one of its requests; said again it has a new number.
create table feedback (
    seq integer primary key autoincrement,
    request_id text not null,
    key_id text not null,
    tenant text not null,
    route text not null,
    model text not null,
    at_ms integer not null,
    score real,
    body blob not null,
    unique (request_id, key_id)
) strict;
create index feedback_by_time on feedback (route, at_ms);
