"""The caches that the configuration file asks for: `[models.NAME.cache]`.

What else of the file changes a route's answers is hashed into its rule's version, so that a
reload with other targets, defaults or hosts gives nothing again that the old ones said.
"""

import hashlib
from collections.abc import Callable, Mapping

import msgspec

from octoplex.reflex.cache.config import duration_ms
from octoplex.reflex.cache.fingerprint import Rule
from octoplex.reflex.cache.layer import RuleOf
from octoplex.routing import Route
from octoplex.settings import ModelTable, Settings
from octoplex.upstreams.source import Source
from octoplex.wire.ask import Ask
from octoplex.wire.error import BadConfig

PATIENCE = frozenset({"api_key", "timeouts", "models", "batches"})
"""What a provider's table says that changes no answer."""
HERE = frozenset({"cache", "retry", "timeouts", "pick", "weights", "forward_batches"})
"""What a route's says. Its targets are interchangeable, or they would not be one route."""


class Caches:
    """The rule of each route that has one."""

    def __init__(self, settings: Settings, sources: Mapping[str, Source]) -> None:
        """Compile.

        Raises:
            BadConfig: a duration cannot be read.
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
        version=_version(model, settings, sources),
        ttl_ms=ttl_ms,
        replay=cache.replay,
        tool_calls=cache.tool_calls,
    )


def _version(model: ModelTable, settings: Settings, sources: Mapping[str, Source]) -> str:
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
