-- Experiments. A unit counts once in a round: its first request. `experiment` is a name and a
-- digest of what is compared, so that another question begins anew.
create table results (
    seq integer primary key autoincrement,
    experiment text not null,
    round integer not null,
    variant text not null,
    unit text not null,
    request_id text not null,
    at_ms integer not null,
    nano integer not null,
    latency_s real not null,
    failed integer not null,
    unique (experiment, round, unit)
) strict;
create index results_by_experiment on results (experiment, seq);

-- In which order the owner counted them, and the quality that was known then: from these an
-- experiment is counted again.
create table counted (
    seq integer primary key autoincrement,
    experiment text not null,
    result integer not null unique references results (seq),
    quality real
) strict;
create index counted_by_experiment on counted (experiment, seq);

-- Where an experiment is, and the design that it began with; the last row counts.
create table trials (
    seq integer primary key autoincrement,
    experiment text not null,
    at_ms integer not null,
    standing blob not null,
    design blob not null
) strict;
create index trials_by_experiment on trials (experiment, seq);
