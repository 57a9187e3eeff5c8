"""The caches that the configuration file asks for: `[models.NAME.cache]`.

What else of the file changes a route's answers is hashed into its rule's version, so that a
reload with other targets, defaults or hosts gives nothing again that the old ones said.
"""

import hashlib
from collections.abc import Callable, Mapping
from difflib import get_close_matches

import msgspec

from octoplex.reflex.cache.config import NGRAMS, Semantic, duration_ms
from octoplex.reflex.cache.fingerprint import Near, Rule
from octoplex.reflex.cache.layer import RuleOf
from octoplex.routing import Route
from octoplex.settings import ModelTable, Settings
from octoplex.upstreams.source import Source
from octoplex.wire.ask import Ask
from octoplex.wire.error import BadConfig

PATIENCE = frozenset({"api_key", "timeouts", "models", "batches"})
"""What a provider's table says that changes no answer."""
HERE = frozenset(
    {"cache", "retry", "timeouts", "pick", "weights", "forward_batches", "hedge", "deadline_s"}
    | {"affinity", "health", "rescue", "reference", "promise", "learn", "segments", "rules"}
)
"""What a route's says. Its targets are interchangeable, or they would not be one route."""


class Caches:
    """The rule of each route that has one."""

    def __init__(self, settings: Settings, sources: Mapping[str, Source]) -> None:
        """Compile.

        Raises:
            BadConfig: a duration cannot be read, or nobody makes the vectors.
        """
        self.rules: Mapping[str, Rule] = {
            name: _rule(name, model, settings, sources)
            for name, model in settings.models.items()
            if model.cache is not None
        }

    def for_asks(self, route_of: Callable[[Ask], Route]) -> RuleOf | None:
        """The rule of an ask, by its route: none where the body names several; None without any.

        Raises (what is returned):
            GatewayError: the ask's model leads nowhere.
        """
        if not self.rules:
            return None
        return lambda ask: self.rules.get(route_of(ask).name)


def _rule(name: str, model: ModelTable, settings: Settings, sources: Mapping[str, Source]) -> Rule:
    cache = model.cache
    assert cache is not None
    try:
        ttl_ms = duration_ms(cache.ttl)
    except BadConfig as error:
        raise BadConfig(f"[models.{name}.cache] ttl: {error}") from None
    return Rule(
        route=name,
        version=version_of(model, settings, sources),
        ttl_ms=ttl_ms,
        replay=cache.replay,
        tool_calls=cache.tool_calls,
        near=_near(cache.semantic, f"[models.{name}.cache] semantic.model", settings, sources),
    )


def _near(
    semantic: Semantic | None, where: str, settings: Settings, sources: Mapping[str, Source]
) -> Near | None:
    """Who makes the vectors, and what is near enough."""
    if semantic is None:
        return None
    name = semantic.model
    if name == NGRAMS:
        return Near(model="", least=semantic.least)
    is_route = name.startswith("models.")
    kind, _, model = name.partition("." if is_route else "/")
    known, asked = (settings.models, model) if is_route else (sources, kind)
    if not model or asked not in known:
        near = get_close_matches(asked, known, 1) if model and kind != "local" else []
        advice = f'did you mean "{near[0]}"?' if near else f'"{NGRAMS}" needs none.'
        raise BadConfig(
            f'{where}: "{name}" is no model that can be asked; '
            f'write "provider/model" or "models.NAME"; {advice}'
        )
    asks = model if is_route else name
    return Near(model=asks, least=semantic.least, wait_s=semantic.wait_s)


def version_of(model: ModelTable, settings: Settings, sources: Mapping[str, Source]) -> str:
    """What stands for everything that is configured and changes what this route answers."""
    providers = sorted({target.partition("/")[0] for target in model.try_})
    tables = [settings.providers.get(name) for name in providers]
    hosts = [
        (sources[name].base_url, sources[name].region) for name in providers if name in sources
    ]
    local = [settings.local.get(target.partition("/")[2]) for target in model.try_]
    what = (
        _without(model, HERE),
        model.cache and model.cache.tool_calls,
        [table and _without(table, PATIENCE) for table in tables],
        hosts,
        local,
        settings.guard,
    )
    return hashlib.blake2b(msgspec.msgpack.encode(what, order="deterministic")).hexdigest()


def _without(table: msgspec.Struct, names: frozenset[str]) -> dict[str, object]:
    return {n: v for n, v in msgspec.structs.asdict(table).items() if n not in names}
