"""From a model name, as a caller writes it, to a route.

In this order:

1. a route of exactly this name;
2. `provider/model`, where the model's id may itself contain "/" (raw or as %2F). A glob
   that contains "/" was written for such names and comes before this rule;
3. a glob route such as `claude-*`: the most specific one, which is the one with the most
   literal characters, then the fewest `*`, then the first by name;
4. a bare model id that exactly one usable provider offers.

Two providers that offer a bare name are a 400 naming both: guessing would decide where
data and money go. `*` stands for any characters, `?` for one; nothing else is special,
because model ids contain brackets and dots.

Answers are remembered, up to 4,096 names; a reload makes a new `Resolver`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from heapq import nlargest

import msgspec

from octoplex.routing.region import askable, within
from octoplex.routing.route import Candidate, Route
from octoplex.upstreams.passing import PASS
from octoplex.wire.ask import Ask, Call, fallback_models
from octoplex.wire.error import InvalidCall, NotFound

REMEMBERED, REMEMBERED_LISTS = 1_024, 64
"""Routes of names, and of lists of names: callers may ask for any name of a provider's, and what is
made for one takes 19 kB. So they are 20 MB at most, and as much again for lists of 16."""
LONGEST_NAME = 512
MOST_MODELS = 16
PIECES = 12
COMPARED = 40


def all_used(name: str) -> tuple[str, str]:
    """No provider was put out of use."""
    return "", ""


RouteOf = Callable[[str], Route | None]


def nothing_listed() -> Iterable[str]:
    """No names to suggest from."""
    return ()


class Resolver:
    """The names of one configuration."""

    __slots__ = (
        "_globs", "_listed", "_offers", "_out", "_providers", "_routes", "resolve", "resolve_many"
    )  # fmt: skip

    def __init__(
        self,
        routes: Mapping[str, Route],
        providers: Mapping[str, RouteOf],
        offers: Callable[[str], Sequence[str]],
        listed: Callable[[], Iterable[str]] = nothing_listed,
        out: Callable[[str], tuple[str, str]] = all_used,
    ) -> None:
        """Resolve over compiled routes.

        `providers` makes the route of a usable provider's model (None when it cannot have
        that model), `offers` names the usable providers that list a bare model, `listed`
        gives the names that a mistyped one is compared with, `out` the provider that would have
        a name, bare or full, and is out of use, and since when ("": there is none).
        """
        self._routes, self._providers, self._offers = routes, providers, offers
        self._listed, self._out = listed, out
        self._globs = tuple(_compiled(routes))
        self.resolve: Callable[[str], Route] = lru_cache(REMEMBERED)(self._resolve)
        """The route of a name. Raises NotFound, InvalidCall when two providers offer it, or
        OutOfRegion when none of its targets answers in the route's own region."""
        self.resolve_many: Callable[[tuple[str, ...]], Route] = lru_cache(REMEMBERED_LISTS)(
            self._resolve_many
        )
        """The route that tries the targets of several names, in their order."""

    def route_of(self, ask: Ask) -> Route:
        """The route of an ask: its model, then the fallbacks in its body's `models`.

        Raises:
            OutOfRegion: none of its targets answers where its caller's key demands.
        """
        more = fallback_models(ask) if isinstance(ask, Call) and "models" in ask.fields else ()
        if more:
            route = self.resolve_many((ask.model, *more) if ask.model else more)
        else:
            route = self.resolve(ask.model)
        region = ask.caller.region
        return within(route, region) if region else route

    def _resolve(self, name: str) -> Route:
        return askable(self.find(name))

    def find(self, name: str) -> Route:
        """The route of a name, also one without a target that may be asked.

        Raises:
            NotFound, InvalidCall: it has none.
        """
        if len(name) > LONGEST_NAME:
            raise InvalidCall(
                f"`model` is {len(name)} characters long; at most {LONGEST_NAME} are allowed.",
                param="model",
            )
        name = name.replace("%2F", "/").replace("%2f", "/")
        return (
            self._routes.get(name)
            or self._glob(name, "/")
            or self._at_provider(name)
            or self._glob(name, "")
            or self._bare(name)
        )

    def _glob(self, name: str, holding: str) -> Route | None:
        """The most specific glob for `name`, of those that hold `holding`."""
        for glob, pattern, route in self._globs:
            if holding in glob and pattern.fullmatch(name):
                return route
        return None

    def _at_provider(self, name: str) -> Route | None:
        provider, slash, model = name.partition("/")
        route_of = self._providers.get(provider)
        return route_of(model) if route_of is not None and slash and model else None

    def _bare(self, name: str) -> Route:
        offering = sorted(set(self._offers(name)))
        if len(offering) > 1:
            full = [f"{provider}/{name}" for provider in offering]
            raise InvalidCall(
                f"The model {name!r} is offered by {_listing(offering, 'and')}. "
                f"Say {_listing(full, 'or')}.",
                param="model",
            )
        route = self._providers[offering[0]](name) if offering else None
        if route is None:
            raise NotFound(self._unknown(name), param="model")
        return route

    def _unknown(self, name: str) -> str:
        name, passes = name.removeprefix(PASS), name.startswith(PASS)
        provider, slash, _ = name.partition("/")
        who, since = self._out(name)
        if who:
            return f"The provider {who!r} is out of use since {since}: an operator said so."
        if passes:
            return f"There is no provider {provider!r} that can be asked at /providers/{provider}/."
        said = f"There is no model or route named {name!r}."
        if slash and provider in self._providers:
            said = f"The provider {provider!r} has no model {name.partition('/')[2]!r}."
        close = close_names(name, [*(n for n in self._routes if "*" not in n), *self._listed()])
        if close:
            return f"{said} Did you mean {_listing(close, 'or')}?"
        return f"{said} GET /v1/models lists what there is; `provider/model` always works."

    def _resolve_many(self, names: tuple[str, ...]) -> Route:
        if not 1 <= len(names) <= MOST_MODELS:
            raise InvalidCall(
                f"`models` names {len(names)} models; 1 to {MOST_MODELS} are allowed.",
                param="models",
            )
        routes = [self.find(name) for name in dict.fromkeys(names)]
        candidates: dict[str, Candidate] = {}
        for route in routes:
            for candidate in route.candidates:
                candidates.setdefault(candidate.target.name, candidate)
        if len(routes) == 1:
            return askable(routes[0])
        whole = msgspec.structs.replace(
            routes[0],
            name=",".join(dict.fromkeys(route.name for route in routes)),
            candidates=tuple(candidates.values()),
            pick="in-order",
            barred=tuple(barred for route in routes for barred in route.barred),
        )
        return askable(whole)


def close_names(name: str, known: Sequence[str]) -> list[str]:
    """Up to three of `known` that look like `name`.

    `difflib` takes 60 ms over 3,000 names, too long for a loop that others wait for; so it
    compares only those that share the most three-letter pieces (2 ms).
    """
    step = max(1, (len(name) - 2) // PIECES)
    pieces = [name[at : at + 3] for at in range(0, max(1, len(name) - 2), step)]
    alike = nlargest(COMPARED, known, key=lambda n: sum(piece in n for piece in pieces))
    return get_close_matches(name, alike, n=3, cutoff=0.6)


def _compiled(routes: Mapping[str, Route]) -> list[tuple[str, re.Pattern[str], Route]]:
    globs = [name for name in routes if "*" in name or "?" in name]
    globs.sort(key=lambda g: (g.count("*") + g.count("?") - len(g), g.count("*"), g))
    return [(name, _pattern(name), routes[name]) for name in globs]


def _pattern(glob: str) -> re.Pattern[str]:
    pieces = {"*": ".*", "?": "."}
    return re.compile("".join(pieces.get(c) or re.escape(c) for c in re.sub(r"\*+", "*", glob)))


def _listing(names: Sequence[str], word: str) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {word} {names[-1]}"
