-- The secret before the present one opens the key as well, until a moment of the Unix clock.
alter table keys add column former blob;
alter table keys add column former_until_ms integer;
