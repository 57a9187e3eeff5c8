-- Several hosts on one database. What hosts may still spend of a budget they take out of the
-- till: in every window, spent + all leases <= the cap whenever something is taken.

-- Who is there. `beat` is moved on once a second; `calls` is the number of the last taking or
-- giving of this host, `got` what that brought, for a host that did not hear the answer.
create table octoplex.hosts (
    id text primary key,
    name text not null,
    beat bigint not null default 0,
    calls bigint not null default 0,
    got bigint[] not null default '{}'
);

-- One window of one budget, from minute `first` to before `after`. `spent` is the sum of the
-- settled attempts of that time, moved in the transaction that writes them.
create table octoplex.till (
    account text not null,
    kind text not null,
    first bigint not null,
    after bigint not null,
    spent bigint not null,
    primary key (account, kind, first)
);

-- What a host holds of it and has not spent, as far as the ledger knows.
create table octoplex.leases (
    account text not null,
    kind text not null,
    first bigint not null,
    host text not null,
    nano bigint not null,
    primary key (account, kind, first, host)
);

-- What is left of rates after hosts took their parts: a smaller bucket of `part`, in which
-- `missing` were missing at `at`. It fills at `part` a period.
create table octoplex.rates (
    account text not null,
    unit text not null,
    period_s bigint not null,
    count bigint not null,
    part bigint not null,
    missing numeric not null,
    at timestamptz not null,
    primary key (account, unit, period_s, count)
);

-- The parts of hosts.
create table octoplex.parts (
    account text not null,
    unit text not null,
    period_s bigint not null,
    count bigint not null,
    host text not null,
    part bigint not null,
    primary key (account, unit, period_s, count, host)
);

-- A fingerprint of the pepper that all hash with.
create table octoplex.pepper (
    one boolean primary key default true check (one),
    mark text not null
);

-- How often something was changed that all hosts must know of.
create table octoplex.news (
    topic text primary key,
    number bigint not null
);

alter table octoplex.opened add column host text not null default '';

-- The accounts that what a key spends for a tenant counts in.
create function octoplex.accounts(key_id text, tenant text) returns setof text
immutable language sql as $$
    select 'key ' || key_id
    union all
    select 'tenant ' || array_to_string(parts[1:n], '.')
    from (select string_to_array(nullif(tenant, ''), '.')) as given (parts),
        generate_series(1, cardinality(parts)) as n
$$;

-- What the ledger says was spent in an account from one minute to before another.
create function octoplex.spent(account_ text, kind_ text, first_ bigint, after_ bigint)
returns bigint stable language sql as $$
    with mine as materialized (
        select id from octoplex.terms where account_ in (
            select octoplex.accounts(key_id, tenant))
    )
    select case when kind_ in ('minute', 'hour') then (
        select octoplex.bounded(coalesce(sum(nano), 0)) from octoplex.ended
        where terms in (select id from mine) and state = 1
          and at_ms >= first_ * 60000 and at_ms < after_ * 60000
    ) else (
        select octoplex.bounded(coalesce(sum(nano), 0)) from octoplex.days
        where terms in (select id from mine) and day >= first_ / 1440 and day < after_ / 1440
    ) end
$$;

-- Take room out of windows, of all or of none, sorted by account, kind and first: at least
-- `leasts`, and so much more that `haves` becomes a `share`th of what is left in the tightest
-- (0: no more). Answers how each stood before; no row: this host was given up.
create function octoplex.take(
    host_ text, number_ bigint, share_ bigint, accounts text[], kinds text[], firsts bigint[],
    afters bigint[], caps bigint[], leasts bigint[], haves bigint[]
) returns table (got bigint, was_spent bigint, was_leased bigint) language plpgsql as $$
declare
    last integer := cardinality(accounts);
    had bigint[] := '{}';
    lent bigint[] := '{}';
    gets bigint[] := '{}';
    most bigint := 4611686018427387904;
    fits boolean := true;
    room bigint;
    spent_ bigint;
    leased_ bigint;
begin
    perform from octoplex.hosts h where h.id = host_ for no key update;
    if not found then
        return;
    end if;
    if exists (
        select from unnest(accounts, kinds, firsts) as w (a, k, f) where not exists (
            select from octoplex.till t where (t.account, t.kind, t.first) = (w.a, w.k, w.f))
    ) then
        -- Whoever writes settlements moves the till, so none is between what is summed up here
        -- and what is added to the row afterwards.
        lock table octoplex.till in share row exclusive mode;
        insert into octoplex.till
            select a, k, f, e, octoplex.spent(a, k, f, e)
            from unnest(accounts, kinds, firsts, afters) as w (a, k, f, e)
            on conflict do nothing;
    end if;
    for i in 1 .. last loop
        select t.spent into strict spent_ from octoplex.till t
            where (t.account, t.kind, t.first) = (accounts[i], kinds[i], firsts[i])
            for no key update;
        select coalesce(sum(l.nano), 0) into leased_ from octoplex.leases l
            where (l.account, l.kind, l.first) = (accounts[i], kinds[i], firsts[i]);
        had := had || spent_;
        lent := lent || leased_;
        room := caps[i] - spent_ - leased_;
        most := least(most, room);
        fits := fits and leasts[i] <= room;
    end loop;
    most := case when share_ = 0 then 0 else most / share_ end;
    for i in 1 .. last loop
        gets := gets || case when fits then greatest(leasts[i], most - haves[i], 0) else 0 end;
    end loop;
    if fits then
        insert into octoplex.leases as l
            select a, k, f, host_, g from unnest(accounts, kinds, firsts, gets) as w (a, k, f, g)
            where g > 0
            on conflict on constraint leases_pkey do update set nano = l.nano + excluded.nano;
    end if;
    update octoplex.hosts h set calls = number_, got = gets where h.id = host_;
    return query select * from unnest(gets, had, lent);
end $$;

-- Give back what was taken and not spent, sorted as above. False: this host was given up.
create function octoplex.give(
    host_ text, number_ bigint, accounts text[], kinds text[], firsts bigint[], nanos bigint[]
) returns boolean language plpgsql as $$
begin
    perform from octoplex.hosts h where h.id = host_ for no key update;
    if not found then
        return false;
    end if;
    for i in 1 .. cardinality(accounts) loop
        perform from octoplex.till t
            where (t.account, t.kind, t.first) = (accounts[i], kinds[i], firsts[i])
            for no key update;
        update octoplex.leases l set nano = greatest(0, l.nano - nanos[i])
            where (l.account, l.kind, l.first, l.host) = (accounts[i], kinds[i], firsts[i], host_);
    end loop;
    update octoplex.hosts h set calls = number_, got = '{}' where h.id = host_;
    return true;
end $$;

-- Write a batch of money: ended attempts, the sums of their days, what is open and what is open
-- no more, and move what was spent from the leases of its host. An attempt that is there
-- already changes nothing. Answers how many were not. Rows that hosts share are locked in one
-- order, days before the till.
create function octoplex.write(
    host_ text,
    request_ids text[], attempts integer[], at_mss bigint[], termss integer[], reserveds bigint[],
    states smallint[], nanos bigint[], inputs bigint[], outputs bigint[], cacheds bigint[],
    writes bigint[], write_1hs bigint[], reasonings bigint[], estimateds boolean[],
    outcomes text[], agains boolean[],
    open_ids text[], open_attempts integer[], open_at_mss bigint[], open_termss integer[],
    open_reserveds bigint[]
) returns bigint language plpgsql as $$
declare
    count_ bigint;
    whose integer[];
    minutes bigint[];
    costs bigint[];
    covered bigint[];
    part record;
begin
    with given as (
        select * from unnest(request_ids, attempts, at_mss, termss, reserveds, states, nanos,
            inputs, outputs, cacheds, writes, write_1hs, reasonings, estimateds, outcomes, agains)
    ), fresh as (
        insert into octoplex.ended as e select * from given on conflict do nothing returning e.*
    ), summed as (
        insert into octoplex.days as d (day, terms, requests, input_tokens, output_tokens, nano,
            estimated)
        select f.at_ms / 86400000, f.terms, count(*) filter (where not f.again),
            octoplex.bounded(sum(f.input_tokens)), octoplex.bounded(sum(f.output_tokens)),
            octoplex.bounded(sum(f.nano)), count(*) filter (where f.estimated)
        from fresh f where f.state = 1 group by 1, 2 order by 1, 2
        on conflict (day, terms) do update set
            requests = d.requests + excluded.requests,
            input_tokens = octoplex.bounded(d.input_tokens::numeric + excluded.input_tokens),
            output_tokens = octoplex.bounded(d.output_tokens::numeric + excluded.output_tokens),
            nano = octoplex.bounded(d.nano::numeric + excluded.nano),
            estimated = d.estimated + excluded.estimated
    ), closed as (
        delete from octoplex.opened o using unnest(request_ids, attempts) as g (id, number)
        where (o.request_id, o.attempt) = (g.id, g.number)
    ), open_ as (
        insert into octoplex.opened (request_id, attempt, at_ms, terms, reserved_nano, host)
        select g.id, g.number, g.at_ms, g.terms, g.nano, host_
        from unnest(open_ids, open_attempts, open_at_mss, open_termss, open_reserveds)
            as g (id, number, at_ms, terms, nano)
        where not exists (
            select from octoplex.ended e where (e.request_id, e.attempt) = (g.id, g.number))
        on conflict do nothing
    )
    select count(*), array_agg(f.terms) filter (where f.nano > 0),
        array_agg(f.at_ms / 60000) filter (where f.nano > 0),
        array_agg(f.nano) filter (where f.nano > 0),
        array_agg(least(f.nano, f.reserved_nano)) filter (where f.nano > 0)
    into count_, whose, minutes, costs, covered from fresh f;
    if whose is null then
        return count_;
    end if;
    lock table octoplex.till in row exclusive mode;  -- before it is looked at: see take
    for part in
        with moved as materialized (
            select a.account, s.minute, sum(s.nano) as nano, sum(s.covered) as covered
            from unnest(whose, minutes, costs, covered) as s (terms, minute, nano, covered)
            join octoplex.terms t on t.id = s.terms
            cross join lateral octoplex.accounts(t.key_id, t.tenant) as a (account)
            group by 1, 2
        )
        select t.account, t.kind, t.first, sum(m.nano) as nano, sum(m.covered) as covered
        from moved m join octoplex.till t
            on t.account = m.account and m.minute >= t.first and m.minute < t.after
        group by 1, 2, 3 order by 1, 2, 3
    loop
        update octoplex.till t set spent = octoplex.bounded(t.spent::numeric + part.nano)
            where (t.account, t.kind, t.first) = (part.account, part.kind, part.first);
        update octoplex.leases l set nano = greatest(0, l.nano - part.covered)
            where (l.account, l.kind, l.first, l.host)
                = (part.account, part.kind, part.first, host_);
    end loop;
    return count_;
end $$;

-- Put a part of a rate into the bucket of what is left, with what is missing in it.
create function octoplex.put_rate(
    account_ text, unit_ text, period_ bigint, count_ bigint, part_ bigint, missing_ numeric
) returns void language sql as $$
    update octoplex.rates r set
        missing = greatest(0, r.missing - extract(epoch from clock_timestamp() - r.at) * r.part
            / r.period_s) + missing_,
        part = least(r.count, r.part + part_),
        at = clock_timestamp()
    where (r.account, r.unit, r.period_s, r.count) = (account_, unit_, period_, count_)
$$;

-- Take parts of rates, only what is full: as much as lacks, or a `share`th. What a host has by
-- our books and does not know of comes back empty. No row: this host was given up.
create function octoplex.widen(
    host_ text, share_ bigint, accounts text[], units text[], periods bigint[], counts bigint[],
    haves bigint[], leasts bigint[]
) returns setof bigint language plpgsql as $$
declare
    known bigint;
    left_ bigint;
    got bigint;
begin
    perform from octoplex.hosts h where h.id = host_ for no key update;
    if not found then
        return;
    end if;
    for i in 1 .. cardinality(accounts) loop
        insert into octoplex.rates
            values (accounts[i], units[i], periods[i], counts[i], counts[i], 0, clock_timestamp())
            on conflict do nothing;
        perform from octoplex.rates r where (r.account, r.unit, r.period_s, r.count)
            = (accounts[i], units[i], periods[i], counts[i]) for no key update;
        select p.part into known from octoplex.parts p
            where (p.account, p.unit, p.period_s, p.count, p.host)
                = (accounts[i], units[i], periods[i], counts[i], host_);
        known := greatest(0, coalesce(known, 0) - haves[i]);
        perform octoplex.put_rate(
            accounts[i], units[i], periods[i], counts[i], known, known::numeric);
        select greatest(0, floor(r.part - r.missing)) into left_ from octoplex.rates r
            where (r.account, r.unit, r.period_s, r.count)
                = (accounts[i], units[i], periods[i], counts[i]);
        got := least(left_, greatest(leasts[i], left_ / share_));
        update octoplex.rates r set part = r.part - got
            where (r.account, r.unit, r.period_s, r.count)
                = (accounts[i], units[i], periods[i], counts[i]);
        insert into octoplex.parts
            values (accounts[i], units[i], periods[i], counts[i], host_, haves[i] + got)
            on conflict on constraint parts_pkey do update set part = excluded.part;
        return next got;
    end loop;
end $$;

-- Give parts of rates back. False: this host was given up.
create function octoplex.narrow(
    host_ text, number_ bigint, accounts text[], units text[], periods bigint[], counts bigint[],
    gifts bigint[], missings float8[]
) returns boolean language plpgsql as $$
begin
    perform from octoplex.hosts h where h.id = host_ for no key update;
    if not found then
        return false;
    end if;
    for i in 1 .. cardinality(accounts) loop
        perform octoplex.put_rate(
            accounts[i], units[i], periods[i], counts[i], gifts[i], missings[i]::numeric);
        update octoplex.parts p set part = greatest(0, p.part - gifts[i])
            where (p.account, p.unit, p.period_s, p.count, p.host)
                = (accounts[i], units[i], periods[i], counts[i], host_);
    end loop;
    update octoplex.hosts h set calls = number_, got = '{}' where h.id = host_;
    return true;
end $$;

-- What a host had taken goes back, its parts of rates as if they were used up.
create function octoplex.forsake(host_ text) returns void language sql as $$
    delete from octoplex.leases l where l.host = host_;
    select octoplex.put_rate(p.account, p.unit, p.period_s, p.count, p.part, p.part::numeric)
    from (select * from octoplex.parts where host = host_
        order by account, unit, period_s, count) as p;
    delete from octoplex.parts p where p.host = host_;
$$;

-- Give up a host that moved its beat on no more: what it had open is settled at the
-- reservation, and what it had taken goes back. Whoever is not the first finds nothing.
create function octoplex.bury(host_ text, beat_ bigint) returns bigint language plpgsql as $$
declare
    count_ bigint;
begin
    perform from octoplex.hosts h where h.id = host_ and h.beat = beat_ for update;
    if not found then
        return null;
    end if;
    select octoplex.write(host_, array_agg(request_id), array_agg(attempt), array_agg(at_ms),
        array_agg(terms), array_agg(reserved_nano), array_agg(1::smallint),
        array_agg(reserved_nano), array_agg(0::bigint), array_agg(0::bigint), array_agg(0::bigint),
        array_agg(0::bigint), array_agg(0::bigint), array_agg(0::bigint), array_agg(true),
        array_agg('lost'::text), array_agg(false), '{}', '{}', '{}', '{}', '{}')
    into count_ from octoplex.opened where opened.host = host_ having count(*) > 0;
    perform octoplex.forsake(host_);
    delete from octoplex.hosts h where h.id = host_;
    return coalesce(count_, 0);
end $$;
