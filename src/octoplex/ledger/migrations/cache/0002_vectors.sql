-- Vectors of what was asked, by which it is found by asks that mean the same.
create table vectors (
    seq integer not null primary key,
    key blob not null unique,       -- of the reply in `kept`
    grp blob not null,              -- keyed hash of all that must be equal
    vector blob not null            -- 32-bit floats
) strict;

create index vectors_by_group on vectors (grp, seq);

create trigger vectors_go after delete on kept
begin
    delete from vectors where key = old.key;
end;
