-- What stands as lost, because its host was given up, and was told after all: it becomes what it
-- was, with the sums it is in. The columns are those of `write`. Answers how many there were.
create function octoplex.found(
    request_ids text[], attempts integer[], at_mss bigint[], termss integer[], reserveds bigint[],
    states smallint[], nanos bigint[], inputs bigint[], outputs bigint[], cacheds bigint[],
    writes bigint[], write_1hs bigint[], reasonings bigint[], estimateds boolean[],
    outcomes text[], agains boolean[]
) returns bigint language plpgsql as $$
declare
    was octoplex.ended[];
    now_ octoplex.ended[];
    part record;
begin
    select array_agg(e), array_agg(g) into was, now_
    from octoplex.ended e join (
        select distinct on (request_id, attempt) * from unnest(request_ids, attempts, at_mss, termss, reserveds, states, nanos,
            inputs, outputs, cacheds, writes, write_1hs, reasonings, estimateds, outcomes, agains)
            as row_ (request_id, attempt, at_ms, terms, reserved_nano, state, nano, input_tokens,
            output_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens,
            reasoning_tokens, estimated, outcome, again)
    ) as g using (request_id, attempt)
    where e.outcome = 'lost' and g.outcome <> 'lost';
    if was is null then
        return 0;
    end if;
    delete from octoplex.ended e using unnest(was) as w
        where (e.request_id, e.attempt) = (w.request_id, w.attempt);
    insert into octoplex.ended select * from unnest(now_);
    for part in
        select m.at_ms / 86400000 as day, m.terms, sum(m.sign) filter (where not m.again) as requests,
            sum(m.sign * m.input_tokens) as input, sum(m.sign * m.output_tokens) as output,
            sum(m.sign * m.nano) as nano, sum(m.sign) filter (where m.estimated) as estimated
        from (select 1 as sign, n.* from unnest(now_) as n
            union all select -1, w.* from unnest(was) as w) as m
        where m.state = 1 group by 1, 2 order by 1, 2
    loop
        update octoplex.days d set
            requests = d.requests + coalesce(part.requests, 0),
            input_tokens = octoplex.bounded(d.input_tokens + part.input),
            output_tokens = octoplex.bounded(d.output_tokens + part.output),
            nano = octoplex.bounded(d.nano + part.nano),
            estimated = d.estimated + coalesce(part.estimated, 0)
        where (d.day, d.terms) = (part.day, part.terms);
    end loop;
    lock table octoplex.till in row exclusive mode;  -- before it is looked at: see take
    for part in
        with moved as materialized (
            select a.account, m.at_ms / 60000 as minute, sum(m.nano) as nano
            from (select n.terms, n.at_ms, n.nano from unnest(now_) as n where n.state = 1
                union all select w.terms, w.at_ms, -w.nano from unnest(was) as w) as m
            join octoplex.terms t on t.id = m.terms
            cross join lateral octoplex.accounts(t.key_id, t.tenant) as a (account)
            group by 1, 2
        )
        select t.account, t.kind, t.first, sum(m.nano) as nano
        from moved m join octoplex.till t
            on t.account = m.account and m.minute >= t.first and m.minute < t.after
        group by 1, 2, 3 order by 1, 2, 3
    loop
        update octoplex.till t set spent = octoplex.bounded(t.spent::numeric + part.nano)
            where (t.account, t.kind, t.first) = (part.account, part.kind, part.first);
    end loop;
    return cardinality(was);
end $$;
