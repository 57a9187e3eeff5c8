"""The cache as a layer: who asks the same again gets the same again, for nothing.

    cache = Cache(stock, keyed, views)           as long as the process
    answerer = cached(inner, cache, rule_of)     the layer; asks of routes without a rule pass by

It stands behind admission, so that a hit is never given to whoever may not ask, and each ask
counts in the rate limits of requests. A hit is billed nothing and uses no tokens; its trail
says what it would have cost. What of the body and of the caller must be the same:
`fingerprint.py`; what is kept: `replay.py`.

A caller says `cache-control: no-store` to be neither given nor kept anything, and `no-cache`
to be answered anew and have that kept (RFC 9111, 5.2.1).

Where the rule says so, what was asked before and means the same is a hit too: `semantic.py`.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from octoplex.ledger.rows import Kept
from octoplex.ledger.stock import Stock
from octoplex.reflex.cache.fingerprint import Keyed, Rule, fingerprint
from octoplex.reflex.cache.flight import Flight
from octoplex.reflex.cache.marks import SAID, Marks
from octoplex.reflex.cache.replay import UNPACKABLE, Replay, Views, pack, unpack
from octoplex.reflex.cache.semantic import Neighbours, Rejected, Spot, spot_of
from octoplex.telemetry.metrics import Gauge, Labels
from octoplex.wire.answer import Answer, Answerer
from octoplex.wire.ask import Ask, Attempt, Caller
from octoplex.wire.beside import beside

RuleOf = Callable[[Ask], Rule | None]
OPERATIONS = frozenset({"chat", "embed", "rerank", "moderate", "complete"})


class Cache:
    """What all routes share: what is kept, the flights, the figures since the start."""

    def __init__(self, stock: Stock, keyed: Keyed, views: Views) -> None:
        self.stock, self.keyed, self.views = stock, keyed, views
        self.flights: dict[bytes, Flight] = {}
        self.neighbours = Neighbours(stock)
        self.marks = Marks(stock, keyed)
        self.asked: Counter[tuple[str, str]] = Counter()
        """By route and result, `hit`, `semantic` or `miss`."""
        self.saved_nano: Counter[str] = Counter()
        self.rejected = Rejected()
        self.on_purge: Callable[[str | None], Awaitable[object]] = _nothing
        """Told of a purge, of a route or of all, once it is done here."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def find(self, key: bytes, rule: Rule) -> Replay | None:
        """What is kept under a key and may still be given."""
        stock = self.stock
        row = stock.near(key) or await stock.find(key, patient=bool(rule.asked))
        if row is None or row.kept_at_ms + rule.ttl_ms <= stock.now_ms():
            return None
        try:
            return unpack(row.body)
        except msgspec.MsgspecError:  # written by another version
            return None

    async def alike(self, caller: Caller, spot: Spot, rule: Rule) -> tuple[Replay | None, float]:
        """What is kept of the nearest that is near enough, and how near that is."""
        least = await self.marks.least(caller, rule)
        for score, key in await self.neighbours.nearest(spot, least):
            replay = await self.find(key, rule)
            if replay is not None:
                return replay, score
            self.neighbours.forget(key, spot)
        return None, 0.0

    def launch(
        self,
        inner: Answerer,
        ask: Ask,
        rule: Rule,
        key: bytes,
        spot: Spot | None = None,
        over: Callable[[], None] = lambda: None,
    ) -> Flight:
        """Let an ask go up; what it brings is kept, unless something is purged meanwhile.

        `over` is called when it is, or when it is known that nothing will be.
        """
        purges = self.stock.purges

        def landed(flight: Flight, replay: Replay | None) -> None:
            if self.flights.get(key) is flight:
                del self.flights[key]
            if replay is not None and purges == self.stock.purges:
                self._keep(key, rule, replay, spot)
            over()

        flight = Flight(inner, ask, rule, self.stock.room.row_bytes, landed)
        self.flights.setdefault(key, flight)
        self._tasks.add(flight.task)
        flight.task.add_done_callback(self._tasks.discard)
        return flight

    def _keep(self, key: bytes, rule: Rule, replay: Replay, spot: Spot | None) -> None:
        now_ms = self.stock.now_ms()
        if rule.asked:
            replay = msgspec.structs.replace(replay, asked=rule.asked)
        try:
            body = pack(replay)
        except UNPACKABLE:
            return
        row = Kept(key, rule.route, now_ms, now_ms + rule.ttl_ms, replay.nano, body)
        if spot is not None:
            row = msgspec.structs.replace(row, group=spot.group, vector=spot.vector)
            self.neighbours.add(key, spot)
        self.stock.keep(row)

    async def kept(self, route: str | None = None) -> dict[str, int]:
        """How many replies of a route, or of each, lie beside memory."""
        return {name: n for name, n, _ in await self.stock.routes() if route in (None, name)}

    async def purge(self, route: str | None = None) -> int:
        """Forget the replies of a route, or all, and share none that is on its way now.

        Raises:
            StoreFailed: the file could not be written.
        """
        self._let_go()
        try:
            return await self.stock.purge(route)
        finally:
            await self.on_purge(route)

    async def purged_elsewhere(self) -> None:
        """Another host has purged what is shared with it: forget what is in memory."""
        self._let_go()
        self.stock.forget()
        await self.on_purge(None)

    def _let_go(self) -> None:
        self.flights.clear()
        self.neighbours.clear()
        self.marks.clear()

    async def stats(self) -> dict[str, object]:
        """What is kept, and what it was good for since the start; the shape of `cache stats`."""
        routes = await self.stock.routes()
        now = self.stock.holding()
        results = Counter[str]()
        for (_, result), count in self.asked.items():
            results[result] += count
        return {
            "hits": results["hit"],
            "semantic": results["semantic"],
            "rejected": self.rejected.counts.total(),
            "rejected_up_to": max(self.rejected.scores.values(), default=0.0),
            "misses": results["miss"],
            "saved_nano": self.saved_nano.total(),
            "dropped": now.dropped,
            "memory": {"entries": now.memory_entries, "bytes": now.memory_bytes},
            "disk": {"entries": now.disk_entries, "bytes": now.disk_bytes},
            "models": [{"model": r, "entries": n, "bytes": b} for r, n, b in routes],
        }

    async def close(self) -> None:
        """End what is still on its way, then write what waits."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel("stopped")
        if tasks:
            await asyncio.wait(tasks)
        try:
            await asyncio.to_thread(self.stock.close)
        except RuntimeError:  # the interpreter is ending and gives no more work to threads
            self.stock.close()

    def gauges(self) -> list[Gauge]:
        """The figures for `/metrics`."""

        def held(memory: str, disk: str) -> Iterable[tuple[Labels, float]]:
            now = self.stock.holding()
            return [(("memory",), getattr(now, memory)), (("disk",), getattr(now, disk))]

        return [
            Gauge(
                "octoplex_cache_requests_total",
                "Requests of routes with a cache.",
                ("route", "result"),
                lambda: list(self.asked.items()),
                "counter",
            ),
            Gauge(
                "octoplex_cache_saved_nano_total",
                "Nano-dollars that hits would have cost.",
                ("route",),
                lambda: [((route,), nano) for route, nano in self.saved_nano.items()],
                "counter",
            ),
            Gauge(
                "octoplex_cache_rejected_total",
                "Semantic hits that were asked anew within a minute.",
                ("route",),
                lambda: [((route,), count) for route, count in self.rejected.counts.items()],
                "counter",
            ),
            Gauge(
                "octoplex_cache_entries",
                "Replies that are kept.",
                ("place",),
                lambda: held("memory_entries", "disk_entries"),
            ),
            Gauge(
                "octoplex_cache_bytes",
                "Bytes of replies that are kept.",
                ("place",),
                lambda: held("memory_bytes", "disk_bytes"),
            ),
        ]


async def _nothing(route: str | None) -> None:
    """Nobody else keeps any of it in memory."""


def cached(inner: Answerer, cache: Cache, rule_of: RuleOf | None) -> Answerer:
    """Give again what was given to the same ask, and let one of those at the same time go up.

    Without any rule there is no layer.
    """
    if rule_of is None:
        return inner

    def answer(ask: Ask) -> Awaitable[Answer]:
        rule = rule_of(ask) if ask.op in OPERATIONS else None
        return inner(ask) if rule is None else _answer(inner, cache, ask, rule)

    return answer


async def _answer(inner: Answerer, cache: Cache, ask: Ask, rule: Rule) -> Answer:
    wishes = _wishes(ask)
    key = None
    if "no-store" not in wishes:
        key = await beside(len(ask.raw), fingerprint, ask, rule, cache.keyed)
    if key is None:
        return await inner(ask)
    since_at, anew = asyncio.get_running_loop().time(), "no-cache" in wishes
    if anew:
        cache.rejected.anew(key, rule.route)
    replay = None if anew else await _same(cache, ask, rule, key)
    spot, score = None, 0.0
    if replay is None and rule.near is not None:
        spot = await spot_of(inner, ask, rule, cache.keyed)
        if spot is not None and not anew:
            replay, score = await cache.alike(ask.caller, spot, rule)
        if replay is None and not anew:  # it may have gone up while its vector was made
            replay = await _same(cache, ask, rule, key)
    if replay is not None:
        waited_s = asyncio.get_running_loop().time() - since_at
        if score:
            cache.rejected.given(key, score)
        _told(cache, ask, rule, replay, waited_s, score)
        return replay.answer(ask, rule, cache.views)
    ask.trail.cache = "miss"
    cache.asked[rule.route, "miss"] += 1
    return await cache.launch(inner, ask, rule, key, spot).lead()


async def _same(cache: Cache, ask: Ask, rule: Rule, key: bytes) -> Replay | None:
    """What is kept for the same ask, or comes for one that is on its way."""
    replay = await cache.find(key, rule)
    flight = None if replay else cache.flights.get(key)
    return replay if flight is None else await flight.follow(ask.deadline_at)


def _told(
    cache: Cache, ask: Ask, rule: Rule, replay: Replay, waited_s: float, score: float
) -> None:
    """Write a hit down where headers and record are made from. `score` 0: it is the same ask."""
    trail = ask.trail
    trail.cache, trail.route, trail.why = "hit", rule.route, "cache"
    if score:
        trail.cache, trail.why = "semantic", f"{SAID}{score:.3f}"
    trail.saved_nano = replay.nano
    trail.dropped.extend(replay.dropped)
    trail.added.extend(replay.added)
    row = Attempt(replay.target, outcome="cache", status=200, duration_s=waited_s)
    trail.attempts.append(row)
    cache.asked[rule.route, trail.cache] += 1
    cache.saved_nano[rule.route] += replay.nano


def _wishes(ask: Ask) -> frozenset[str]:
    """The directives of the caller's `cache-control`."""
    said = ask.headers.get("cache-control")
    if said is None:
        return frozenset()
    return frozenset(piece.strip().lower() for piece in said.split(","))
