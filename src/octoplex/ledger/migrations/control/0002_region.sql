-- Where the targets of a key must answer; '' is anywhere.
alter table keys add column region text not null default '';
