-- A key opens nothing before a moment of the Unix clock.
alter table keys add column begins_at_ms integer;
