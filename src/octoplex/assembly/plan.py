"""One compiled configuration: immutable, replaced whole at a reload.

    settings + environment + catalogue  ->  sources  ->  targets  ->  routes

A target's Answerer is made when its name is first asked for, because a provider has
more models than anybody names in a file; the resolver remembers it.
"""

import ssl
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

import msgspec

from octoplex.agents.config import with_usual
from octoplex.assembly.agent_route import AGENT, Answers, route_of
from octoplex.assembly.batching import DIALECT, Posting, forwards, percent_of, style_of
from octoplex.assembly.caches import Caches
from octoplex.assembly.courses import courses_of
from octoplex.assembly.experiments import tests_of
from octoplex.assembly.guards import JUDGED, Guards
from octoplex.assembly.media import rules_of
from octoplex.assembly.region import check_areas, here, outside
from octoplex.assembly.sources import sources
from octoplex.assembly.twins import may_switch, thinks, twin_of
from octoplex.assembly.variants import Means
from octoplex.catalog.families import family
from octoplex.catalog.prices import Price, Prices
from octoplex.catalog.provider import catalogue
from octoplex.dialects.dialect import Dialect, Face
from octoplex.dialects.single import OPERATIONS
from octoplex.ledger.book import Book
from octoplex.ledger.switches import Switches
from octoplex.optimizer.cascade import Change
from octoplex.reflex.gate import Desk
from octoplex.reflex.keys import Hasher
from octoplex.routing import DEFAULT, Candidate, Lane, Policy, Resolver, Route, Target, never
from octoplex.routing.config import Model, breakers_of, check_retry, hedge_of
from octoplex.routing.region import narrowed
from octoplex.settings import Settings
from octoplex.transport.http import Sender
from octoplex.transport.origin import Proxies
from octoplex.transport.tokens import Purse
from octoplex.upstreams.by_model import ByModel
from octoplex.upstreams.count import CountUpstream
from octoplex.upstreams.defaults import Defaulted, check_defaults
from octoplex.upstreams.detect import Found
from octoplex.upstreams.enforced import Enforced, Enforcement, enforcement_of
from octoplex.upstreams.fetch import Fetcher
from octoplex.upstreams.judge import Judge
from octoplex.upstreams.local.fleet import LOCAL, Fleet
from octoplex.upstreams.metered import Metered, Tariff, no_price
from octoplex.upstreams.passing import NO_MODEL, PASS, PassUpstream
from octoplex.upstreams.prediction import sender_for
from octoplex.upstreams.single import SingleUpstream
from octoplex.upstreams.source import Making, Secret, Source
from octoplex.upstreams.upstream import Upstream
from octoplex.wire.answer import Answerer, bound
from octoplex.wire.ask import Ask, Operation, Worst
from octoplex.wire.error import BadConfig
from octoplex.wire.event import Usage

PLAIN = Model(try_=())


class Parts(Protocol):
    """What targets are made of: `Works` when serving, a `Sketch` when only looking."""

    @property
    def data(self) -> Path: ...
    @property
    def env(self) -> Mapping[str, str]: ...
    @property
    def client(self) -> Sender: ...
    @property
    def purse(self) -> Purse: ...
    @property
    def trust(self) -> ssl.SSLContext | None: ...
    @property
    def proxies(self) -> Proxies: ...
    @property
    def book(self) -> Book: ...
    @property
    def dialects(self) -> Mapping[str, Dialect]: ...
    @property
    def faces(self) -> Mapping[str, Face]: ...
    @property
    def fleet(self) -> Fleet: ...
    @property
    def judge(self) -> Judge: ...
    @property
    def hasher(self) -> Hasher: ...
    @property
    def desk(self) -> Desk: ...
    @property
    def agents(self) -> Answers | None: ...


class Plan:
    """Everything the file decides."""

    def __init__(self, settings: Settings, works: Parts, found: Found) -> None:
        """Compile. `found` are the local servers that answered, with their models.

        Raises:
            BadConfig: a route, a provider, a key or a price is wrong.
        """
        self.settings, self._works = settings, works
        # The server's own total bounds the whole request, not one attempt.
        self._usual = msgspec.structs.replace(settings.server.timeouts, total_s=None)
        self._fetch = Fetcher(rules_of(settings.server.media), works.trust) if works.trust else None
        check_areas(settings)
        self.switches = Switches.read(works.data)
        self.sources = sources(settings, works.env, self.switches, found)
        away = [source.id for source in self.sources.values() if source.local and not source.here]
        self.prices = Prices.newest(works.data).with_own(settings.prices).not_free(away)
        self.caches = Caches(settings, self.sources)
        self.guards = Guards(settings, works.env, works.hasher.hash, works.faces[JUDGED])
        self._breakers = breakers_of(settings.models)
        self.routes = {name: self._route(name, model) for name, model in settings.models.items()}
        providers = {*self.sources, LOCAL}
        means = Means(settings, providers, works.env, works.judge.fault)
        self.courses = courses_of(means, self.routes, self.sources)
        self.tests = tests_of(means, self.routes)
        makers: dict[str, Callable[[str], Route | None]] = {
            source.id: partial(self._direct, source.id)
            for source in self.sources.values()
            if source.usable
        }
        makers[LOCAL] = partial(self._direct, LOCAL)
        makers[AGENT] = partial(route_of, with_usual(settings.agents), works)
        makers |= {
            f"{PASS}{source.id}": partial(self._passing, source)
            for source in self.sources.values()
            if source.usable
        }
        self.resolver = Resolver(self.routes, makers, self.offers, self.listed, self._out)

    @property
    def changes(self) -> list[Change | None]:
        """What variants do to requests: of experiments, and of routes that learn."""
        tried = [change for test in self.tests.values() for change in test.change.values()]
        learned = [change for course in self.courses.values() for change in course.changes]
        return [*tried, *learned]

    def _out(self, name: str) -> tuple[str, str]:
        off, provider = self.switches.off, name.partition("/")[0]
        sources = [self.sources[id_] for id_ in off if id_ in self.sources]
        offering = [source.id for source in sources if name in self.models_of(source)]
        who = next((id_ for id_ in (provider, *offering) if id_ in off), "")
        return who, off[who].at if who else ""

    def offers(self, model: str) -> Sequence[str]:
        """The usable providers that list this bare model id."""
        known = [s.id for s in self.sources.values() if s.usable and model in self.models_of(s)]
        return [*known, LOCAL] if model in self._works.fleet.names() else known

    def unavailable(self, name: str) -> str:
        """Why a listed model cannot be asked now; "" when it can."""
        provider, _, model = name.partition("/")
        if provider != LOCAL or model in self.settings.local:
            return ""
        return self._works.fleet.unavailable(model)

    def answers_in(self, name: str, region: str) -> bool:
        """Whether a route, or a listed model, has a target that surely answers in an area."""
        route = self.routes.get(name)
        if route is not None:
            return bool(narrowed(route, region).candidates)
        provider, _, model = name.partition("/")
        source = self.sources.get(provider)
        return source is None or not self._outside(source, model)(region)

    def other_names(self, model: str) -> Sequence[str]:
        """The full names that a bare model id stands for; a key may list either."""
        if model.startswith(PASS):
            return [model.removeprefix(PASS)]
        return [] if model in self.routes else [f"{p}/{model}" for p in self.offers(model)]

    def models_of(self, source: Source) -> Sequence[str]:
        """The models of a provider that we know by name: the file's list, else the price list's."""
        return source.models or self.prices.models(source.id)

    def listed(self) -> list[str]:
        """Every `provider/model` that can be asked and whose name we know."""
        usable = [s for s in self.sources.values() if s.usable]
        named = [f"{s.id}/{m}" for s in usable for m in self.models_of(s)]
        own = [f"{LOCAL}/{name}" for name in self._works.fleet.names()]
        priced = [n for n in self.settings.prices if n not in named]
        return [*own, *(f"{AGENT}/{name}" for name in self.settings.agents), *named, *priced]

    @cached_property
    def _named(self) -> frozenset[str]:
        tried = (c.target.name for route in self.routes.values() for c in route.candidates)
        direct = self.listed() + [f"{source}/{NO_MODEL}" for source in self.sources]
        regions = {s.id: f"@{s.region}" for s in self.sources.values() if s.region}
        there = [f"{name}{regions.get(name.partition('/')[0], '')}" for name in direct]
        return frozenset((*self.routes, *tried, *direct, *there))

    def is_named(self, name: str) -> bool:
        """Whether the file or the price list has this route or target: callers can ask for more."""
        name = name.removeprefix(PASS)
        provider, _, model = name.partition("/")
        return name in self._named or (provider == LOCAL and model in self._works.fleet.names())

    def posting(self, name: str, area: str) -> Posting | None:
        """How the batches of a model are handed to its provider; None where they are not.

        Raises:
            GatewayError: the name leads nowhere.
        """
        route = self.resolver.resolve(name)
        if not forwards(self.settings, route) or self.guards.of(route.name) is not None:
            return None
        if route.name in self.tests:  # its lines get their variants here
            return None
        target = route.candidates[0].target
        if area and target.outside(area):
            return None
        return self.post_to(route.name, target.provider, target.model)

    def post_to(self, route: str, provider: str, model: str) -> Posting | None:
        """How a provider's batches are reached; None where it has none, or no key."""
        source = self.sources.get(provider)
        style = style_of(self.settings, source) if source else None
        if source is None or style is None or source.missing:
            return None
        prefix = source.paths.get(DIALECT[style])
        if prefix is None or "{model}" in prefix:
            return None
        price, percent = self._price_of(source, model), percent_of(source)

        def at_batch_price() -> Price | None:
            listed = price("")
            return None if listed is None else listed.scaled(percent)

        making = self._making(PLAIN)
        ways = {k: source.passing(k, making) for k in source.keys or (None,)}
        return Posting(
            route=route,
            provider=provider,
            model=model,
            style=style,
            price=at_batch_price,
            output_cap=family(provider, model).output_cap,
            prefix=source.prefix_of(DIALECT[style]),
            lanes={
                k.label if k else "": PassUpstream(way, source.sender(k, self._works.client))
                for k, way in ways.items()
                if way is not None
            },
        )

    def _passing(self, source: Source, model: str) -> Route | None:
        """The route of requests that go to a provider as they come: asked once."""
        making = self._making(PLAIN)
        tariff = Tariff(
            provider=source.id,
            model=model,
            price=self._price_of(source, model),
            output_cap=family(source.id, model).output_cap,
            free=source.here or model == NO_MODEL,
            price_of=partial(self._price_of, source),
        )
        lanes = []
        for key in source.keys or (None,):
            way = source.passing(key, making)
            if way is not None:
                upstream = PassUpstream(way, source.sender(key, self._works.client))
                paid = self._paid(upstream, tariff, PLAIN)
                lanes.append(Lane(key.label if key else "", paid))
        name = f"{source.id}/{model}"
        target = Target(
            name=name,
            provider=source.id,
            model=model,
            region=source.region,
            outside=self._outside(source, model),
        )
        candidate = Candidate(target, tuple(lanes))
        return Route(name=f"{PASS}{name}", candidates=(candidate,), attempts=1)

    def _direct(self, provider: str, model: str) -> Route | None:
        """The route of `provider/model`, which always works."""
        candidate = self._candidate(f"{provider}/{model}", PLAIN, 1.0)
        return Route(name=f"{provider}/{model}", candidates=(candidate,))

    def _route(self, name: str, model: Model) -> Route:
        where = f"[models.{name}]"
        if not model.try_:
            raise BadConfig(f'{where} try: name at least one "provider/model".')
        if model.weights and len(model.weights) != len(model.try_):
            raise BadConfig(
                f"{where} weights: {len(model.weights)} for {len(model.try_)} targets; "
                "give one per target."
            )
        weights = model.weights or (1.0,) * len(model.try_)
        if min(weights) < 0 or not sum(weights):
            raise BadConfig(f"{where} weights: none may be negative, and not all may be 0.")
        check_defaults(model.defaults, where)
        check_retry(model.retry, f"{where} retry")
        for target, own in model.targets.items():
            if target not in model.try_:
                raise BadConfig(f'{where} targets: "{target}" is not in its try.')
            check_retry(own, f'[models.{name}.targets."{target}"]')
        candidates = tuple(
            self._candidate(target, model, weight, where)
            for target, weight in zip(model.try_, weights, strict=True)
        )
        route = Route(
            name=name,
            candidates=candidates,
            pick=model.pick,
            rescue=model.rescue,
            hedge=hedge_of(model.hedge, where),
            deadline_s=model.deadline_s,
            affinity=model.affinity,
            ejecting=model.health,
            fall_over_on_refusal=model.fall_over_on_refusal,
            cheaper_on_budget=model.cheaper_when_over_budget,
            policy=model.retry.policy(DEFAULT.breaker),
        )
        return narrowed(route, model.region) if model.region else route

    def _outside(self, source: Source, model: str) -> Callable[[str], str]:
        return partial(outside, source, catalogue().get(source.id), model)

    def _candidate(self, name: str, route: Model, weight: float, where: str = "") -> Candidate:
        provider, slash, model = name.partition("/")
        if not slash or not model:
            raise BadConfig(f'{where} try: "{name}" must be "provider/model".')
        own, breaker = route.targets.get(name), self._breakers.get(name)
        if own is not None:
            route = msgspec.structs.replace(route, retry=own)
        policy = None
        if own is not None or breaker is not None:
            policy = route.retry.policy(breaker or DEFAULT.breaker)
        if provider == LOCAL:
            return self._local(model, route, weight, policy)
        source = self.sources.get(provider)
        if source is None:
            near = get_close_matches(provider, [*self.sources, LOCAL], 1)
            advice = f'did you mean "{near[0]}"?' if near else f"add [providers.{provider}]."
            raise BadConfig(f'{where} try: there is no provider "{provider}"; {advice}')
        kind = family(provider, model)
        tariff = Tariff(
            provider=provider,
            model=model,
            price=self._price_of(source, model),
            output_cap=kind.output_cap,
            free=source.here,
            allow_unpriced=route.allow_unpriced,
        )
        target = Target(
            name=name if not source.region else f"{name}@{source.region}",
            provider=provider,
            model=model,
            region=source.region,
            context_window=kind.context,
            reasons_silently=kind.reasons_silently,
            prefill=kind.prefill,
            slow_start=source.private,
            policy=policy,
            cost=partial(_cost, tariff),
            reads=partial(_reads, tariff),
            outside=self._outside(source, model),
        )
        if source.missing:
            return Candidate(target, (), weight, missing=source.missing)
        making = self._making(route)
        lanes, buffers = self._lanes(source, route, making, tariff)
        counters = self._counters(source, model, making)
        singles = self._singles(source, route, making, tariff)
        missing = "" if lanes else f"it serves {' and '.join(source.serves)} only"
        return Candidate(target, lanes, weight, counters, singles, missing, buffers)

    def _making(self, route: Model) -> Making:
        return Making(
            dialects=self._works.dialects,
            proxies=self._works.proxies,
            usual=self._usual,
            timeouts=route.timeouts,
            drop_unsupported=route.drop_unsupported,
            alone=len(route.try_) < 2,
            purse=self._works.purse,
        )

    def _lanes(
        self, source: Source, route: Model, making: Making, tariff: Tariff
    ) -> tuple[tuple[Lane, ...], Callable[[Ask], bool]]:
        """The lanes, and which asks for a stream they answer whole."""
        if not any(name in making.dialects for name in source.paths):
            return (), never
        lanes: list[Lane] = []
        enforcement: Enforcement | None = None
        twin = twin_of(tariff, partial(self._price_of, source))
        for key in source.keys or (None,):
            spec, sender = source.spec(tariff.model, key, making), self._sender(source, key)
            enforcement = enforcement_of(spec) if not lanes else enforcement  # alike for each key
            paid = self._held(Upstream(spec, sender, self._fetch), tariff, route, enforcement)
            if twin is not None:
                spec, name = source.spec(twin.model, key, making), f"{twin.provider}/{twin.model}"
                upstream = Upstream(spec, sender, self._fetch)
                other = self._held(upstream, twin, route, enforcement)
                may = partial(may_switch, self._works.desk, self.settings.models, name)
                paid = ByModel(paid, other, name, thinks=thinks(tariff.model), may=may)
            lanes.append(Lane(key.label if key else "", bound(self._defaulted(paid, route))))
        return tuple(lanes), never if enforcement is None else enforcement.buffers

    def _sender(self, source: Source, key: Secret | None) -> Sender:
        client = source.sender(key, self._works.client)
        return sender_for(source.paths, client, self._works.proxies)

    def _singles(
        self, source: Source, route: Model, making: Making, tariff: Tariff
    ) -> dict[Operation, tuple[Lane, ...]]:
        found: dict[Operation, tuple[Lane, ...]] = {}
        for op in OPERATIONS:
            lanes = []
            for key in source.keys or (None,):
                spec = source.single(op, tariff.model, key, making)
                if spec is not None:
                    upstream = SingleUpstream(spec, source.sender(key, self._works.client))
                    paid = self._paid(upstream, tariff, route)
                    lanes.append(Lane(key.label if key else "", paid))
            if lanes:
                found[op] = tuple(lanes)
        return found

    def _counters(self, source: Source, model: str, making: Making) -> tuple[Lane, ...]:
        lanes = []
        for key in source.keys or (None,):
            spec = source.counting(model, key, making)
            if spec is not None:
                sender = source.sender(key, self._works.client)
                upstream = CountUpstream(spec, sender, self._fetch)
                lanes.append(Lane(key.label if key else "", upstream))
        return tuple(lanes)

    def _price_of(self, source: Source, model: str) -> Callable[[str], Price | None]:
        """Looks the price up now: announced changes come into force by the clock."""
        look_up = partial(self.prices.price, source.id, model)
        if source.percent == 100:
            return look_up

        def in_region(tier: str) -> Price | None:
            price = look_up(tier)
            return None if price is None else price.scaled(source.percent)

        return in_region

    def _local(self, model: str, route: Model, weight: float, policy: Policy | None) -> Candidate:
        name = f"{LOCAL}/{model}"
        tariff = Tariff(provider=LOCAL, model=model, price=no_price, output_cap=None, free=True)
        target = Target(
            name=name, provider=LOCAL, model=model, slow_start=True, outside=here, policy=policy
        )
        engine, counter = self._works.fleet.answerers(model, self._making(route))
        lanes = (Lane("", self._paid(engine, tariff, route)),)
        return Candidate(target, lanes, weight, (Lane("", counter),))

    def _paid(self, inner: Answerer, tariff: Tariff, route: Model) -> Answerer:
        return self._defaulted(self._held(inner, tariff, route, None), route)

    def _held(
        self, inner: Answerer, tariff: Tariff, route: Model, enforcement: Enforcement | None
    ) -> Answerer:
        paid: Answerer = Metered(
            inner, tariff, self._works.book, self.settings.server.budget_wait_s
        )
        if enforcement is not None:
            paid = Enforced(paid, enforcement, route.retry.json_attempts, self._works.judge)
        return paid

    def _defaulted(self, paid: Answerer, route: Model) -> Answerer:
        return Defaulted(paid, route.defaults, self._works.faces) if route.defaults else paid


def _cost(tariff: Tariff, worst: Worst) -> int | None:
    """The live price of a call on a target; None when it has none."""
    if tariff.free:
        return 0
    price = tariff.price("")
    return None if price is None else tariff.reserve_nano(price, worst)


def _reads(tariff: Tariff, tokens: int, cached: int) -> int | None:
    """What an input costs now, part of it cached; None when its target has no price."""
    if tariff.free:
        return 0
    price = tariff.price("")
    return None if price is None else price.cost_nano(Usage(tokens, cached_tokens=cached))
