-- Pairs of which people are asked what they are worth, with their texts; until `until_ms`, then the
-- row goes, and `otherwise` is noted where nobody has said anything. `said` also where it counts no
-- more, for the route has begun anew.
create table labels (
    seq integer primary key autoincrement,
    route text not null,
    request_id text not null,
    at_ms integer not null,
    until_ms integer not null,
    said integer not null default 0,
    texts blob not null,
    otherwise blob not null,
    unique (route, request_id)
) strict;
create index labels_by_time on labels (until_ms);
