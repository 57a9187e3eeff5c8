-- Operators' switches as all hosts have them: of each provider whether it is in use, and the key
-- that is stored for it, which is sealed.
create table octoplex.switches (
    provider text primary key,
    value bytea not null
);
