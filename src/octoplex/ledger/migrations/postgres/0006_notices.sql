-- What one host tells for all: alerts of budgets. `until` ends the claim of a host that has not told
-- it and does not renew its claim. The third word of an id is when it may be forgotten.
create table octoplex.notices (
    id text primary key,
    host text not null,
    until timestamptz not null,
    told boolean not null default false
);
