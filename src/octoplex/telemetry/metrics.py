"""Counters and histograms for Prometheus, cheap enough for every request.

prometheus_client costs 0.4-0.8 us per increment with cached children and 1.3-1.8
without. Here all figures of one kind of request (route, target, status) live in one
`Cell`, and a request is one append: hundreds are added up together, sums over cells are
made when somebody looks.

Labels are bounded: never a key, a user or anything else that a caller can invent without
limit. A name that neither the file nor the price list has (`named`) is a label only once
it was answered, and only in the first half of `MOST_CELLS`; else it is `other`.

Reference: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple, Protocol

Labels = tuple[str, ...]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
OVERHEAD_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1)
MOST_CELLS = 1_000
OTHER = "other"
AT_ONCE = 256
"""Requests that are added up together: a quarter of what one at a time costs."""


class Spread:
    """A histogram: how many values fell into each bucket (upper bounds), and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, values: list[float]) -> None:
        """Count many values."""
        values.sort()
        counts, before = self.counts, 0
        for at, bound in enumerate(self.bounds):
            upto = bisect_right(values, bound, before)
            counts[at] += upto - before
            before = upto
        counts[-1] += len(values) - before
        self.total += sum(values)

    def join(self, other: "Spread") -> None:
        """Add another spread over the same bounds."""
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.total += other.total


class Kind(NamedTuple):
    """What the requests of one cell have in common. `target` is `provider/model`."""

    route: str
    target: str
    status: int


class Counted(Protocol):
    """What is counted of one request (the ledger's record has it)."""

    @property
    def route(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def stream(self) -> bool: ...
    @property
    def total_s(self) -> float: ...
    @property
    def first_s(self) -> float: ...
    @property
    def overhead_s(self) -> float: ...
    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def cached_tokens(self) -> int: ...
    @property
    def nano(self) -> int: ...


class Cell:
    """Everything counted about one kind of request."""

    __slots__ = ("cached", "count", "duration", "first", "input", "nano", "output", "overhead")

    def __init__(self) -> None:
        self.count = self.input = self.cached = self.output = self.nano = 0
        self.duration, self.first = Spread(SECONDS), Spread(SECONDS)
        self.overhead = Spread(OVERHEAD_S)

    def add(self, some: Sequence[Counted]) -> None:
        """Count requests; one of which nothing ever came has no time to the first."""
        self.count += len(some)
        self.input += sum([one.input_tokens for one in some])
        self.cached += sum([one.cached_tokens for one in some])
        self.output += sum([one.output_tokens for one in some])
        self.nano += sum([one.nano for one in some])
        self.duration.add([one.total_s for one in some])
        self.first.add([one.first_s for one in some if one.stream and one.first_s])
        self.overhead.add([one.overhead_s for one in some if one.first_s])


class Gauge:
    """A figure read when somebody looks: `read` gives (labels, value) rows.

    `kind` is what Prometheus is told; a counter never falls while the process lives.
    """

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        read: Callable[[], Iterable[tuple[Labels, float]]],
        kind: Literal["gauge", "counter"] = "gauge",
    ) -> None:
        self.name, self.text, self.labels, self.read = name, text, tuple(labels), read
        self.kind = kind


class Metrics:
    """Everything `/metrics` shows. Owned by one gateway; nothing here is global."""

    def __init__(self, gauges: Sequence[Gauge] = ()) -> None:
        self.named: Callable[[str], bool] = lambda name: True
        """Whether a route or a target is one that callers did not invent; each gateway says."""
        self.events_skipped = 0
        self.cells: dict[Kind, Cell] = {}
        self._pending: list[Counted] = []
        self.upstream_errors: dict[Labels, float] = {}
        self.guard_findings: dict[Labels, float] = {}
        self.cascades: dict[Labels, float] = {}
        self.gauges = list(gauges)

    def count(self, one: Counted) -> None:
        """Count a request."""
        self._pending.append(one)
        if len(self._pending) >= AT_ONCE:
            self._add_up()

    def _add_up(self) -> None:
        some, self._pending = self._pending, []
        kinds: dict[tuple[str, str, int], list[Counted]] = {}
        for one in some:
            kinds.setdefault((one.route, one.target, one.status), []).append(one)
        for what, alike in kinds.items():
            kind = Kind(*what)
            if kind not in self.cells:
                kind = self._bounded(kind)
            self.cells.setdefault(kind, Cell()).add(alike)

    def _bounded(self, kind: Kind) -> Kind:
        """A kind that may have a cell of its own, or the one that it is counted with."""
        route, target, status = kind
        count = len(self.cells)
        if count >= MOST_CELLS:
            return Kind(OTHER, OTHER, status)
        if status < 400 and count < MOST_CELLS // 2:
            return kind
        if target and not self.named(target):
            target = f"{target.partition('/')[0]}/{OTHER}"
        return Kind(route if not route or self.named(route) else OTHER, target, status)

    def failed(self, target: str, kind: str) -> None:
        """Count a failed attempt at a provider."""
        key = (target.partition("/")[0], kind)
        self.upstream_errors[key] = self.upstream_errors.get(key, 0) + 1

    def found(self, kind: str, action: str, count: int) -> None:
        """Count what the guard found."""
        _add(self.guard_findings, (kind, action), count)

    def cascaded(self, route: str, result: str) -> None:
        """Count what became of an answer that was to be verified."""
        _add(self.cascades, (route, result), 1)

    def expose(self) -> Callable[[], bytes]:
        """Read every figure now. What is returned writes them, in any thread: 20 ms and more.

        The text is in format 0.0.4. A cell that moves meanwhile may show some of its figures
        later than others.
        """
        self._add_up()
        lines: list[str] = []
        errors = self.upstream_errors
        name, text = "octoplex_upstream_errors_total", "Failed attempts."
        _plain(lines, (name, "counter", text), ("provider", "error_type"), errors.items())
        name, text = "octoplex_guard_findings_total", "What the guard found, and what was done."
        findings = self.guard_findings
        _plain(lines, (name, "counter", text), ("type", "action"), findings.items())
        name, text = "octoplex_cascades_total", "Answers to be verified: passed, or escalated."
        _plain(lines, (name, "counter", text), ("route", "result"), self.cascades.items())
        name, text = "octoplex_events_skipped_total", "Events of streams that were no JSON."
        _plain(lines, (name, "counter", text), (), [((), self.events_skipped)])
        for gauge in self.gauges:
            _plain(lines, (gauge.name, gauge.kind, gauge.text), gauge.labels, gauge.read())
        return partial(_written, self.cells.copy(), lines)


def _written(cells: Mapping[Kind, Cell], more: list[str]) -> bytes:
    lines: list[str] = []
    _expose_cells(cells, lines)
    name = "octoplex_gateway_overhead_seconds"
    text = "Time until the answer opened that was not spent waiting for a provider."
    overhead = Spread(OVERHEAD_S)
    for cell in cells.values():
        overhead.join(cell.overhead)
    _histogram(lines, name, text, (), {(): overhead})
    return ("\n".join([*lines, *more]) + "\n").encode()


def _expose_cells(cells: Mapping[Kind, Cell], lines: list[str]) -> None:
    requests: dict[Labels, float] = {}
    tokens: dict[Labels, float] = {}
    nano: dict[Labels, int] = {}
    duration: dict[Labels, Spread] = {}
    first: dict[Labels, Spread] = {}
    for (route, target, status), cell in cells.items():
        provider, _, model = target.partition("/")
        _add(requests, (provider, model, route, f"{status // 100}xx"), cell.count)
        _add(tokens, ("input", "false"), cell.input - cell.cached)
        _add(tokens, ("input", "true"), cell.cached)
        _add(tokens, ("output", "false"), cell.output)
        nano[(provider,)] = nano.get((provider,), 0) + cell.nano
        duration.setdefault((route,), Spread(SECONDS)).join(cell.duration)
        first.setdefault((route,), Spread(SECONDS)).join(cell.first)
    head = ("octoplex_requests_total", "counter", "Requests.")
    _plain(lines, head, ("provider", "model", "route", "status_class"), requests.items())
    name, text = "octoplex_request_duration_seconds", "From first byte in to last byte out."
    _histogram(lines, name, text, ("route",), duration)
    name, text = "octoplex_time_to_first_token_seconds", "Until the first content of a stream."
    _histogram(lines, name, text, ("route",), first)
    head = ("octoplex_tokens_total", "counter", "Tokens.")
    _plain(lines, head, ("direction", "cached"), tokens.items())
    exact = {labels: _dollars(value) for labels, value in nano.items()}
    head = ("octoplex_cost_usd_total", "counter", "Cost in dollars.")
    _plain(lines, head, ("provider",), exact.items())


def _add(totals: dict[Labels, float], labels: Labels, amount: float) -> None:
    totals[labels] = totals.get(labels, 0) + amount


def _dollars(nano: int) -> str:
    """Nano-dollars as a decimal, exactly."""
    whole, rest = divmod(nano, 10**9)
    return f"{whole}.{rest:09d}"


def _plain(
    lines: list[str],
    head: tuple[str, str, str],
    labels: Sequence[str],
    rows: Iterable[tuple[Labels, float | str]],
) -> None:
    name, kind, text = head
    lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for values, value in sorted(rows):
        lines.append(f"{name}{_braces(labels, values)} {_number(value)}")


def _histogram(
    lines: list[str], name: str, text: str, labels: Sequence[str], rows: dict[Labels, Spread]
) -> None:
    """Buckets are cumulative in the exposition."""
    lines += [f"# HELP {name} {text}", f"# TYPE {name} histogram"]
    for values, spread in sorted(rows.items()):
        seen = 0
        edges = [*map(_number, spread.bounds), "+Inf"]
        for edge, count in zip(edges, spread.counts, strict=True):
            seen += count
            tags = _braces((*labels, "le"), (*values, edge))
            lines.append(f"{name}_bucket{tags} {seen}")
        tags = _braces(labels, values)
        lines += [f"{name}_sum{tags} {_number(spread.total)}", f"{name}_count{tags} {seen}"]


def _braces(names: Sequence[str], values: Sequence[str]) -> str:
    """`{name="value",...}`, or nothing without labels."""
    if not names:
        return ""
    pairs = zip(names, values, strict=True)
    return "{" + ",".join(f'{n}="{_escape(v)}"' for n, v in pairs) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float | str) -> str:
    """The shortest exact spelling: `3`, not `3.0`."""
    if isinstance(value, str):
        return value
    return str(int(value)) if value == int(value) else repr(value)
