-- What agents remember, as in `migrations/memory`. `words` holds the lexemes of the text and `whose`,
-- so that the index never walks through others'.
create table octoplex.facts (
    seq bigint generated always as identity primary key,
    id text not null unique,
    owner text not null,
    arm text not null,
    kind text not null,
    thread text not null,
    role text not null,
    text text not null,
    source text not null,
    task text not null,
    step text not null,
    who text not null,
    at_ms bigint not null,
    until_ms bigint not null,
    is_untrusted boolean not null,
    whose text not null,
    words tsvector not null generated always as (
        to_tsvector('english', text) || to_tsvector('simple', whose)) stored
);
create index facts_by_owner on octoplex.facts (owner, arm);
create index facts_by_thread on octoplex.facts (owner, thread);
create index facts_by_task on octoplex.facts (owner, task);
create index facts_by_end on octoplex.facts (until_ms);
create index facts_by_word on octoplex.facts using gin (words);

create table octoplex.vectors (
    n bigint generated always as identity primary key,
    seq bigint not null unique references octoplex.facts on delete cascade,
    owner text not null,
    arm text not null,
    model text not null,
    body bytea not null
);
create index vectors_by_model on octoplex.vectors (owner, arm, model, n);
