-- What agents remember. `owner` is whose it is, `arm` whose notes it belongs to ('': everybody's of
-- the owner), `whose` both as one word, so that a search of words never walks through others'.
create table facts (
    seq integer primary key autoincrement,
    id text not null unique,
    owner text not null,
    arm text not null,
    kind text not null,
    thread text not null,
    role text not null,
    text text not null,
    source text not null,
    task text not null,
    step text not null,
    who text not null,
    at_ms integer not null,
    until_ms integer not null,
    is_untrusted integer not null,
    whose text not null
) strict;
create index facts_by_owner on facts (owner, arm);
create index facts_by_thread on facts (owner, thread);
create index facts_by_task on facts (owner, task);
create index facts_by_end on facts (until_ms);

create virtual table words using fts5 (
    text, whose, content = 'facts', content_rowid = 'seq',
    tokenize = 'porter unicode61 remove_diacritics 2'
);

-- By which model a fact was made a vector, at most one. `n` grows: who has read up to one number
-- reads on from there.
create table vectors (
    n integer primary key autoincrement,
    seq integer not null unique,
    owner text not null,
    arm text not null,
    model text not null,
    body blob not null
) strict;
create index vectors_by_model on vectors (owner, arm, model, n);

create trigger facts_in after insert on facts begin
    insert into words (rowid, text, whose) values (new.seq, new.text, new.whose);
end;
create trigger facts_out after delete on facts begin
    insert into words (words, rowid, text, whose) values ('delete', old.seq, old.text, old.whose);
    delete from vectors where seq = old.seq;
end;
