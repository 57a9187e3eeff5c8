"""Bifrost's `config.json`.

Its callers say `provider/model`, so each provider becomes a table of the same name and its keys
a pool. Where keys serve different models, or have addresses of their own, each has a table and
the models in question a route, `[models."openai/gpt-4o"]`, that spreads them by weight.

Reference: https://docs.getbifrost.ai/deployment-guides/config-json/schema-reference
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.cli.importing.bifrost_endpoints import BifrostEndpoints
from octoplex.cli.importing.bifrost_keys import VirtualKeys
from octoplex.cli.importing.draft import Draft, Entry
from octoplex.cli.importing.endpoints import Endpoint, Endpoints
from octoplex.cli.importing.given import Given
from octoplex.cli.importing.routes import ONE, route
from octoplex.cli.importing.unlike import BIFROST

VARIABLE = re.compile(r"env\.(.+)")
_MODEL_IS = re.compile(r"""\s*(?:request\.)?model\s*==\s*(['"])([^'"]+)\1\s*""")


class Lane(Struct, frozen=True, kw_only=True):
    """One key of theirs. `models` are those that it serves, None for all of them."""

    endpoint: Endpoint
    models: tuple[str, ...] | None
    aliases: Mapping[str, str]
    weight: Decimal
    where: str

    @property
    def site(self) -> tuple[Endpoint, tuple[str, ...] | None]:
        """What keys of one pool have in common."""
        return msgspec.structs.replace(self.endpoint, keys=()), self.models

    def model(self, name: str) -> str:
        """The provider's own name of a model."""
        return self.aliases.get(name, name)


def carry(given: Given, draft: Draft) -> None:
    """Put what the file says into the draft, and what it cannot be into notes."""
    Bifrost(given, draft).carry()


class Bifrost:
    """One file on its way."""

    def __init__(self, given: Given, draft: Draft) -> None:
        self._given, self._draft = given, draft
        self._endpoints = Endpoints(draft)
        self._read = BifrostEndpoints(draft)
        self._tables: dict[str, str] = {}
        self._empty_is_all = given.number("version") == 1
        self._drop = given.table("client").table("compat").flag("should_drop_params")

    def carry(self) -> None:
        """Read every part."""
        self._server()
        for name, table in self._given.named("providers"):
            self._provider(name, table)
        governance = self._given.table("governance")
        for rule in governance.tables("routing_rules"):
            self._rule(rule)
        VirtualKeys(governance, self._draft, self._tables, self._empty_is_all).carry()
        if self._drop and not self._draft.models:
            says = "write a route for each model, with drop_unsupported = true."
            self._draft.left_out("client.compat.should_drop_params", says)
        self._draft.unlike(self._given, BIFROST)
        self._draft.to_set("", "clients end their base URL in /v1: other paths are not served.")

    def _server(self) -> None:
        client = self._given.table("client")
        most = client.number("max_request_body_size_mb")
        if most and most == int(most):
            self._draft.server.values["max_body"] = f"{int(most)} MB"
        origins = client.texts("allowed_origins")
        if named := [origin for origin in origins if "*" not in origin]:
            self._draft.server.values["cors"] = named
        if named != origins:
            says = "[server] cors lists each origin whose pages may call; none stands for several."
            self._draft.left_out(client.at("allowed_origins"), says)
        if self._draft.server.values:
            self._draft.server.came_from.append("client")

    # -- providers ----------------------------------------------------------------------------

    def _provider(self, name: str, given: Given) -> None:
        site = self._read.site(name, given)
        if site is None:
            given.skip()
            return
        groups: dict[Any, list[Lane]] = {}
        for key in given.tables("keys"):
            lane = self._lane(name, site, key)
            if lane is not None:
                groups.setdefault(lane.site, []).append(lane)
        if not groups and site.base_url:
            lane = Lane(endpoint=site, models=None, aliases={}, weight=ONE, where=given.path)
            groups = {lane.site: [lane]}
        pools = sorted(groups.values(), key=lambda pool: pool[0].models is not None)
        if not pools:
            self._draft.left_out(given.path, "it has no key that serves a model.")
            return
        tables = [self._table(name, pool, n) for n, pool in enumerate(pools)]
        self._routes(name, pools, tables)

    def _lane(self, name: str, site: Endpoint, key: Given) -> Lane | None:
        if key.any("enabled") is False:
            self._draft.left_out(key.path, "it is switched off.")
            key.skip()
            return None
        models = key.texts("models")
        if "models" in key and not models and not self._empty_is_all:
            self._draft.left_out(key.path, "it serves no model: its list of models is empty.")
            key.skip()
            return None
        label = key.text("name") or key.text("id")
        endpoint, aliases = self._read.lane(name, site, key, models)
        weight = key.number("weight")
        key.text("id")
        return Lane(
            endpoint=endpoint,
            models=None if not models or "*" in models else tuple(models),
            aliases=aliases,
            weight=ONE if weight is None else weight,
            where=f"{key.path} ({label})" if label else key.path,
        )

    def _table(self, name: str, pool: list[Lane], number: int) -> str:
        """The table of a pool; the first has the name that callers use."""
        pool.sort(key=lambda lane: -lane.weight)
        keys = tuple(dict.fromkeys(k for lane in pool for k in lane.endpoint.keys))
        endpoint = msgspec.structs.replace(pool[0].endpoint, keys=keys)
        where = ", ".join(lane.where for lane in pool)
        if len({lane.weight for lane in pool}) > 1:
            says = "a pool asks its first key until that is refused: the heaviest stands first."
            self._draft.differs(where, says)
        table = self._endpoints.name(
            endpoint, name if number == 0 else f"{name}-{number + 1}", where
        )
        if number == 0 and table:
            self._tables[name] = table
            if table != name:
                self._draft.to_set(where, f"clients say {table}/MODEL in place of {name}/MODEL.")
        return table

    def _routes(self, name: str, pools: list[list[Lane]], tables: list[str]) -> None:
        """A route for every model that not simply the first table answers under its own name."""
        pools = [pool for pool, table in zip(pools, tables, strict=True) if table]
        tables = [table for table in tables if table]
        named = dict.fromkeys(m for pool in pools for lane in pool for m in lane.models or ())
        named |= dict.fromkeys(alias for pool in pools for lane in pool for alias in lane.aliases)
        for model in named:
            own = []
            for pool, table in zip(pools, tables, strict=True):
                lane = pool[0]
                if lane.models is None or model in lane.models or model in lane.aliases:
                    weight = sum((one.weight for one in pool), Decimal(0))
                    target = f"{table}/{lane.model(model)}"
                    self._endpoints.priced(lane.endpoint.row, lane.model(model), target)
                    own.append((target, weight))
            if own and [target for target, _ in own] != [f"{name}/{model}"]:
                self._model(f"{name}/{model}", route(own, ()), f"providers.{name}")
        for pool, table in zip(pools[1:], tables[1:], strict=True):
            if pool[0].models is None:
                says = f"its models have no names here: clients say {table}/MODEL, or add routes."
                self._draft.to_set(pool[0].where, says)
        if pools and pools[0][0].models is not None:
            says = "which models a provider serves is no bound here: keys have one."
            self._draft.differs(pools[0][0].where, says)

    def _model(self, name: str, values: dict[str, Any], where: str) -> None:
        if self._drop:
            values["drop_unsupported"] = True
        self._draft.models.setdefault(name, Entry(values, [where]))

    # -- rules --------------------------------------------------------------------------------

    def _rule(self, rule: Given) -> None:
        """A rule that only looks at the model's name is a route of that name."""
        found = _MODEL_IS.fullmatch(rule.text("cel_expression"))
        rule.text("id"), rule.text("name"), rule.number("priority"), rule.any("chain_rule")
        on, scope = rule.any("enabled") is not False, rule.text("scope") or "global"
        targets, names = rule.tables("targets"), rule.texts("fallbacks")
        if found is None or not on or scope != "global":
            rule.skip()
            says = "a rule that is more than `model == NAME` for all: name a route, and ask for it."
            self._draft.left_out(rule.path, says)
            return
        model = found[2]
        own = []
        for target in targets:
            weight = target.number("weight")
            said = self._said(target.text("provider"), target.text("model") or model, target.path)
            own += [(said, ONE if weight is None else weight)] if said else []
        then = [self._said(*_parted(name, model), rule.at("fallbacks")) for name in names]
        if own:
            self._model(model, route(own, filter(None, then)), rule.path)

    def _said(self, provider: str, model: str, where: str) -> str:
        table = self._tables.get(provider, "")
        if not table:
            self._draft.left_out(where, "it names a provider that is not among them.")
            return ""
        known = self._draft.models.get(f"{provider}/{model}")
        return str(known.values["try"][0]) if known else f"{table}/{model}"


def _parted(name: str, usual: str) -> tuple[str, str]:
    """`provider/model`, or a provider for the same model."""
    provider, _, model = name.partition("/")
    return provider, model or usual
