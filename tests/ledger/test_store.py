"""The contract that every store keeps."""

import asyncio
from collections import defaultdict
from typing import Any

import pytest
from msgspec import Raw

from octoplex.ledger import KeyRow, Order, Page, Record, Settlement, SpendQuery, Store
from octoplex.ledger.rows import RELEASED, Turned
from octoplex.wire.ask import Attempt
from octoplex.wire.error import InvalidCall
from octoplex.wire.event import NO_USAGE, Usage

DAY1 = 1_767_225_600_000  # 2026-01-01
DAY2 = DAY1 + 86_400_000


def order(number: int, nano: int = 1_000, at_ms: int = DAY1, key: str = "app") -> Order:
    return Order(
        f"req_{number:027}", 1, at_ms, key, key, "main", "openai", "gpt-5-mini", "2026-01", nano
    )


def settle(store: Store, made: Order, nano: int, usage: Usage = NO_USAGE) -> None:
    store.settle(Settlement(made, nano, usage, "done", usage.estimated))


def test_spend_has_the_contracts_shape(store: Store) -> None:
    made = [order(1), order(2, at_ms=DAY2), order(3, key="web"), order(4)]
    for one in made:
        store.reserve(one)
    settle(store, made[0], 700, Usage(10, 20))
    settle(store, made[1], 300, Usage(1, 2, estimated=True))
    settle(store, made[2], 50, Usage(5, 6))
    store.settle(Settlement(made[3], 0, NO_USAGE, "failed", False, RELEASED))
    spend = asyncio.run(store.spend(SpendQuery()))
    assert spend.total_nano == 1_050
    rows = [(r.day, r.key, r.nano, r.requests, r.estimated) for r in spend.rows]
    assert rows == [
        ("2026-01-02", "app", 300, 1, 1),
        ("2026-01-01", "app", 700, 1, 0),
        ("2026-01-01", "web", 50, 1, 0),
    ]
    assert (spend.rows[1].input_tokens, spend.rows[1].output_tokens) == (10, 20)
    assert (spend.rows[1].provider, spend.rows[1].model) == ("openai", "gpt-5-mini")


def test_attempts_come_one_after_the_other(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("octoplex.ledger.postgres.queries.AT_ONCE", 2)
    assert list(store.reader.each_attempt()) == []
    for number in range(7):
        store.reserve(made := order(number))
        if number % 3:
            settle(store, made, 10)
    asyncio.run(store.drain())
    rows = list(store.reader.each_attempt())
    assert rows == store.reader.attempts()
    assert [row["state"] for row in rows] == ["settled" if n % 3 else "reserved" for n in range(7)]


def test_spend_can_be_narrowed(store: Store) -> None:
    for number, (at_ms, key) in enumerate([(DAY1, "a"), (DAY2, "a"), (DAY2, "b")]):
        made = order(number, at_ms=at_ms, key=key)
        store.reserve(made)
        settle(store, made, 10)

    def total(**how: Any) -> int:
        return asyncio.run(store.spend(SpendQuery(**how))).total_nano

    assert total(key_ids=("a", "c\0")) == 20
    assert total(key_ids=("a",), since="2026-01-02") == total(key_ids=("a",), key="a") / 2 == 10
    assert total(key_ids=()) == total(key_ids=("b",), key="a") == 0
    assert total(since="2026-01-02") == 20
    assert total(until="2026-01-01") == 10
    assert total(key="b") == 10
    assert total(key="b' or '1'='1") == 0


def test_two_price_versions_are_one_row_of_spend(store: Store) -> None:
    for version in ("2026-01", "2026-02"):
        made = Order(f"req_{version}", 1, DAY1, "a", "a", "", "p", "m", version, 5)
        store.reserve(made)
        settle(store, made, 5)
    assert [r.nano for r in asyncio.run(store.spend(SpendQuery())).rows] == [10]


def test_a_second_settlement_of_an_attempt_changes_nothing(store: Store) -> None:
    made = order(1)
    store.reserve(made)
    settle(store, made, 700)
    settle(store, made, 700)
    asyncio.run(store.drain())
    settle(store, made, 999)
    spend = asyncio.run(store.spend(SpendQuery()))
    assert (spend.total_nano, spend.rows[0].requests) == (700, 1)
    assert store.condition().conflicts == 2


def test_a_reservation_is_settled_batches_later(store: Store) -> None:
    made = order(1)
    store.reserve(made)
    asyncio.run(store.drain())
    assert asyncio.run(store.spend(SpendQuery())).total_nano == 0
    settle(store, made, 700)
    assert asyncio.run(store.spend(SpendQuery())).total_nano == 700


def test_balances_are_per_key_and_day(store: Store) -> None:
    for number in range(300):
        made = order(number, key=f"k{number % 3}")
        store.reserve(made)
        settle(store, made, number)
    asyncio.run(store.drain())
    totals: dict[str, int] = defaultdict(int)
    for number in range(300):
        totals[f"k{number % 3}"] += number
    assert {b.key_id: b.total_nano for b in asyncio.run(store.balances())} == totals


@pytest.mark.parametrize(
    "usage",
    [
        Usage(2**63, 2**70),
        Usage(2**62, 2**62),
        Usage(-5, -(2**80)),
    ],
)
def test_absurd_counts_do_not_stop_the_ledger(store: Store, usage: Usage) -> None:
    for number in range(4):
        made = order(number)
        store.reserve(made)
        settle(store, made, 7, usage)
    assert asyncio.run(store.drain())
    spend = asyncio.run(store.spend(SpendQuery()))
    assert spend.total_nano == 28
    assert isinstance(spend.rows[0].input_tokens, int)
    assert not store.condition().refusal


def test_text_that_is_not_unicode_does_not_stop_the_ledger(store: Store) -> None:
    made = Order("req_1", 1, DAY1, "k", "k", "", "p", "bad \ud800 model\x00", "v", 9)
    store.reserve(made)
    settle(store, made, 9)
    store.record(Record(id="req_1", at_ms=DAY1, error="bad \ud800", metadata=Raw(b"{}")))
    assert asyncio.run(store.drain())
    assert asyncio.run(store.spend(SpendQuery())).total_nano == 9
    record = asyncio.run(store.request("req_1"))
    assert record is not None
    assert record.error == "bad ?"


def test_a_record_comes_back_as_it_was(store: Store) -> None:
    record = Record(
        id="req_1",
        at_ms=DAY1,
        key_id="app",
        key="app",
        face="anthropic",
        model="main",
        target="openai/gpt-5-mini",
        status=200,
        outcome="left",
        stream=True,
        total_s=1.25,
        nano=700,
        user="u'1",
        metadata=Raw(b'{"team":"x"}'),
        attempts=[Attempt(target="openai/gpt-5-mini", outcome="done", nano=700)],
    )
    store.record(record)
    found = asyncio.run(store.request("req_1"))
    assert found is not None
    assert bytes(found.metadata) == b'{"team":"x"}'
    found.metadata = record.metadata
    assert found == record
    assert found.shown()["attempts"] == record.attempts
    assert asyncio.run(store.request("req_2")) is None


def test_records_page_backwards_and_forwards_over_months(store: Store) -> None:
    month_s = 31 * 86_400_000
    ids = [f"r{number:02}" for number in range(12)]
    for number, id_ in enumerate(ids):
        store.record(Record(id=id_, at_ms=DAY1 + number // 4 * month_s, key_id=f"k{number % 2}"))
        if number % 4 == 3:
            asyncio.run(store.drain())

    def page(**how: object) -> list[str]:
        return [r.id for r in asyncio.run(store.requests(Page(**how)))]  # type: ignore[arg-type]

    assert page(limit=3) == ["r11", "r10", "r09"]
    assert page(limit=5, before="r09") == ["r08", "r07", "r06", "r05", "r04"]
    assert page(limit=50, before="r02") == ["r01", "r00"]
    assert page(limit=5, after="r02") == ["r07", "r06", "r05", "r04", "r03"]
    assert page(limit=5, after="r09") == ["r11", "r10"]
    assert page(limit=4, key_ids=("k1",)) == ["r11", "r09", "r07", "r05"]
    assert page(limit=4, before="nobody") == []
    assert page(limit=4, key_ids=("k1",), before="r10") == []


def test_records_of_some_keys_of_a_tenant(store: Store) -> None:
    """A key that moved to another tenant leaves its records where they were made."""
    tenants = ("acme", "acme.web", "globex", "acmes", "")
    for number in range(20):
        made = Record(f"r{number:02}", DAY1, key_id=f"k{number % 4}", tenant=tenants[number % 5])
        made.task = "t7" if number % 7 == 0 else ""
        made.user = "\0 \\u0000"  # a caller may say what a database cannot hold as text
        made.metadata = Raw(rb'{"\u0000": "\\u0000"}')
        store.record(made)
        if number % 6 == 5:
            asyncio.run(store.drain())

    def page(**how: object) -> list[str]:
        return [r.id for r in asyncio.run(store.requests(Page(**how)))]  # type: ignore[arg-type]

    assert page(tenant="acme", limit=3) == ["r16", "r15", "r11"]
    assert page(tenant="acme", key_ids=("k0", "k1")) == ["r16", "r05", "r01", "r00"]
    assert page(tenant="acme", key_ids=("k0", "k1"), limit=2, before="r16") == ["r05", "r01"]
    assert page(tenant="acme", key_ids=("k0", "k1"), limit=2, after="r00") == ["r05", "r01"]
    assert page(tenant="acme.web", key_ids=("k2",)) == ["r06"]
    assert page(tenant="acme", key_ids=()) == page(tenant="acm") == page(key_ids=("k9",)) == []
    assert len(page(key_ids=("k0", "k3"))) == 10
    assert page(task="t7") == ["r14", "r07", "r00"]
    assert page(task="t7", limit=1, after="r00") == ["r07"]
    assert page(task="t7", tenant="acme") == page(task="t7", key_ids=("k0",)) == ["r00"]
    assert page(task="t") == []


def test_keys_are_kept_and_revoked_by_name_or_id(store: Store) -> None:
    def row(name: str, id_: str) -> KeyRow:
        return KeyRow(
            id=id_,
            name=name,
            hash=id_.encode(),
            prefix="oct-abcd",
            last4="wxyz",
            models=("main", "openai/*"),
            limits="$5/day",
            region="eu",
            created_at_ms=DAY1,
            begins_at_ms=DAY2,
            tenant="acme",
            user="ana@acme.example",
        )

    async def play() -> list[KeyRow]:
        await store.add_key(row("app", "key_1"))
        with pytest.raises(InvalidCall, match="in use"):
            await store.add_key(row("app", "key_2"))
        revoked = await store.revoke_key("app", DAY2)
        assert revoked is not None
        assert revoked.revoked_at_ms == DAY2
        assert await store.revoke_key("app", DAY2) is None
        await store.add_key(row("app", "key_3"))
        assert await store.revoke_key("key_3", DAY2)
        for name in ("x'; drop table keys; --", "\0"):
            assert await store.revoke_key(name, DAY2) is None
            turned = Turned(name=name, hash=b"n", prefix="p", last4="l", former_until_ms=1)
            assert await store.rotate_key(turned) is None
        return await store.keys()

    keys = asyncio.run(play())
    assert {(key.tenant, key.user) for key in keys} == {("acme", "ana@acme.example")}
    assert [(k.id, k.revoked_at_ms, k.models, k.region, k.begins_at_ms) for k in keys] == [
        ("key_1", DAY2, ("main", "openai/*"), "eu", DAY2),
        ("key_3", DAY2, ("main", "openai/*"), "eu", DAY2),
    ]


def test_a_key_is_meant_by_its_id_before_any_by_its_name(store: Store) -> None:
    def row(name: str, id_: str) -> KeyRow:
        return KeyRow(id=id_, name=name, hash=id_.encode(), prefix="oct-abcd", last4="wxyz")

    async def play() -> list[KeyRow]:
        await store.add_key(row("key_2", "key_1"))
        await store.add_key(row("app", "key_2"))
        turned = Turned(name="key_2", hash=b"n", prefix="p", last4="l", former_until_ms=1)
        rotated = await store.rotate_key(turned)
        assert rotated is not None
        assert rotated.id == "key_2"
        revoked = await store.revoke_key("key_2", DAY2)
        assert revoked is not None
        assert revoked.id == "key_2"
        return await store.keys()

    assert {k.id: k.revoked_at_ms for k in asyncio.run(play())} == {"key_1": None, "key_2": DAY2}


def test_one_bad_record_does_not_take_its_neighbours_along(store: Store) -> None:
    good, labels = Record("r1", DAY1, user="u"), Raw(b'{"a":[1, 2]}')
    for record in (
        good,
        Record("r2", DAY1, metadata=Raw(b'{"a":'), error="bad \ud800", why="w"),
        Record("r3", DAY1, input_tokens=2**70),
        Record("r4", DAY1, total_s=float("nan")),
        Record("r5", DAY1, metadata=labels),
    ):
        store.record(record)
    found = {r.id: r for r in asyncio.run(store.requests(Page()))}
    assert set(found) >= {"r1", "r2", "r3", "r5"}
    assert found["r1"].user == "u"
    assert (found["r2"].why, bytes(found["r2"].metadata)) == ("w", b"null")
    assert bytes(found["r5"].metadata) == bytes(labels)


def test_a_key_is_found_among_the_records_of_many(store: Store) -> None:
    ids = [f"req_{number * 50:011x}{number:016x}" for number in range(3_000)]
    for number, id_ in enumerate(ids):
        store.record(Record(id_, DAY1, key_id="rare" if number % 1_000 == 7 else f"k{number % 3}"))

    def page(**how: object) -> list[str]:
        return [r.id for r in asyncio.run(store.requests(Page(**how)))]  # type: ignore[arg-type]

    assert page(key_ids=("rare",)) == [ids[2_007], ids[1_007], ids[7]]
    assert page(key_ids=("rare",), before=ids[2_007], limit=1) == [ids[1_007]]
    assert page(key_ids=("rare",), after=ids[5], limit=2) == [ids[1_007], ids[7]]
    assert page(key_ids=("rar",)) == []
    assert page(limit=5_000) == ids[::-1]
    assert page(limit=0) == []
    for number in (0, 511, 512, 1_700, 2_999):
        record = asyncio.run(store.request(ids[number]))
        assert record is not None
        assert record.id == ids[number]
    assert asyncio.run(store.request(ids[5] + "x")) is None
