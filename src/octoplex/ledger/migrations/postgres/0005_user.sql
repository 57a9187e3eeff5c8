-- The person whom a key was made for.
alter table octoplex.keys add column "user" text not null default '';
