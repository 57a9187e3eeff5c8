-- Responses that callers may go on from (OpenAI's `store`), and what they were asked.
create table responses (
    seq integer not null primary key,
    id text not null,                -- ours, or the provider's where its reply passed verbatim
    key_id text not null,            -- whose it is; '' without keys
    tenant text not null,
    created_at_ms integer not null,  -- Unix clock; kept for [server] responses_days from then
    model text not null,
    status text not null,
    origin text not null,            -- the provider whose own items these are; '' when any may take them
    whole integer not null,          -- 1: `input` is all there was before the reply
    gone integer not null,           -- 1: only the id is left, so that nobody takes it for unknown
    body blob not null,              -- zlib of the response object as its caller got it
    input blob not null,             -- zlib of the JSON array of its input items
    unique (id, key_id)
) strict;

create index responses_by_age on responses (created_at_ms);

-- The items that were new in a response, which a later request may refer to by id.
create table items (
    id text not null,
    key_id text not null,
    seq integer not null references responses (seq),
    primary key (id, key_id, seq)
) strict, without rowid;

create index items_by_response on items (seq);
