-- A key opens nothing before a moment of the Unix clock.
alter table octoplex.keys add column begins_at_ms bigint;
