-- Replies that are given again to whoever asks the same ([models.NAME.cache]).
create table kept (
    seq integer not null primary key,
    key blob not null unique,       -- keyed hash of who asked what; the request itself is nowhere
    route text not null,
    kept_at_ms integer not null,    -- Unix clock
    ends_at_ms integer not null,
    nano integer not null,          -- what it cost
    size integer not null,          -- of the row, nearly
    body blob not null              -- zlib
) strict;

create index kept_by_end on kept (ends_at_ms);
create index kept_by_route on kept (route);
