-- What was known of what serves when a policy was published, as JSON.
alter table policies add column told blob not null default x'6e756c6c';
