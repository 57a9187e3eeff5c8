"""LiteLLM's `config.yaml`.

A `model_name` becomes a route of that name: its deployments are chosen among as
`routing_strategy` says, then the groups that `fallbacks` names are asked. A wildcard of a
provider (`anthropic/*`) needs no route, because `provider/model` always works.

Reference: https://docs.litellm.ai/docs/proxy/configs and .../config_settings
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct

from octoplex.cli.importing.draft import Draft, Entry
from octoplex.cli.importing.given import Given
from octoplex.cli.importing.litellm_endpoints import LiteLLMEndpoints, Located
from octoplex.cli.importing.litellm_names import model_of
from octoplex.cli.importing.routes import ONE, agreed, attempts, defaults, route
from octoplex.cli.importing.unlike import LITELLM
from octoplex.routing.config import Pick

VARIABLE = re.compile(r"os\.environ/(.+)")
PICKS: Mapping[str, Pick] = {
    "simple-shuffle": "weighted",
    "least-busy": "least-busy",
    "usage-based-routing": "least-busy",
    "usage-based-routing-v2": "least-busy",
    "latency-based-routing": "fastest",
    "cost-based-routing": "cheapest",
}
ASKED = (
    *("temperature", "top_p", "top_k", "n", "stop", "seed", "user", "max_tokens", "dimensions"),
    *("max_completion_tokens", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs"),
    *("top_logprobs", "response_format", "reasoning_effort", "thinking", "verbosity", "tools"),
    *("tool_choice", "parallel_tool_calls", "service_tier"),
)
"""Members of a request that `litellm_params` may hold."""
MEDIA = ("audio", "image", "video", "realtime", "ocr", "search", "vector_store")
"""How those modes begin for which there is no door."""
PRICES = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "reasoning": "output_cost_per_reasoning_token",
}
MILLION = 10**6


class Deployment(Struct, kw_only=True):
    """One entry of `model_list` that can be asked here."""

    target: str
    id: str
    order: Decimal
    shares: list[Decimal | None]
    retries: Decimal | None
    timeouts: dict[str, Any]
    defaults: dict[str, Any]
    where: str


def carry(given: Given, draft: Draft) -> None:
    """Put what the file says into the draft, and what it cannot be into notes."""
    LiteLLM(given, draft).carry()


class LiteLLM:
    """One file on its way."""

    def __init__(self, given: Given, draft: Draft) -> None:
        self._given, self._draft = given, draft
        self._router, self._module = given.table("router_settings"), given.table("litellm_settings")
        self._groups: dict[str, list[Deployment]] = {}
        self._ids: dict[str, str] = {}
        timeouts = {
            "header_s": self._number("stream_timeout"),
            "total_s": self._number("timeout", "request_timeout"),
        }
        usual = tuple((name, s) for name, s in timeouts.items() if s)
        self._endpoints = LiteLLMEndpoints(given, draft, usual)
        self._retries = self._number("num_retries")
        self._drop = self._module.flag("drop_params")

    def carry(self) -> None:
        """Read every part."""
        self._environment()
        for entry in self._given.tables("model_list"):
            self._deployment(entry)
        fallbacks = self._lists("fallbacks")
        usual = self._names("default_fallbacks") or fallbacks.get("*", [])
        refusals = self._lists("content_policy_fallbacks")
        aliases = self._aliases()
        for name in self._groups:
            self._route(name, fallbacks.get(name, usual), refusals.get(name, []))
        for alias, name in aliases.items():
            self._alias(alias, name)
        self._key()
        self._draft.unlike(self._given, LITELLM)
        self._draft.to_set("", "clients end their base URL in /v1: other paths are not served.")

    def _number(self, *keys: str) -> Decimal | None:
        """A number of `router_settings`, which come first, or of `litellm_settings`."""
        found = [table.number(key) for key in keys for table in (self._router, self._module)]
        return next((n for n in found if n is not None), None)

    def _environment(self) -> None:
        table = self._given.table("environment_variables")
        for name in table.names():
            table.any(name)
            says = "variables are not set by the file: set them where octoplex is started."
            self._draft.to_set(table.at(name), says)

    # -- deployments --------------------------------------------------------------------------

    def _deployment(self, entry: Given) -> None:
        name, params = entry.text("model_name"), entry.table("litellm_params")
        info, model = entry.table("model_info"), self._model(params)
        located = self._endpoints.locate(params, model) if name and model else None
        if located is None:
            if not name or not model:
                self._draft.left_out(entry.path, "it has no model_name or no litellm_params.model.")
        elif "*" in model:
            self._wildcard(name, located, entry)
        else:
            self._keep(name, located, params, info, entry)

    def _model(self, params: Given) -> str:
        """Which model is asked, also where a variable says it."""
        model = params.text("model")
        if named := self._draft.variable_in(model):
            says = f"a model cannot be a variable here: written is what {named} holds now."
            self._draft.differs(params.at("model"), says)
        return self._draft.plain(model)

    def _keep(self, name: str, located: Located, params: Given, info: Given, entry: Given) -> None:
        target = self._endpoints.target(located, f"{entry.path} ({name})")
        if not target:
            entry.skip()
            return
        kinds = ("weight", "rpm", "tpm")
        shares = [(params if kind in params else entry).number(kind) for kind in kinds]
        retries = [params.number(key) for key in ("num_retries", "max_retries")]
        waits = {"header_s": params.number("stream_timeout"), "total_s": params.number("timeout")}
        asked = {key: params.any(key) for key in ASKED if key in params}
        kept = defaults(asked)
        for key in (key for key in asked if key not in kept):
            self._draft.left_out(params.at(key), "this value cannot stand in a TOML file.")
        deployment = Deployment(
            target=target,
            id=info.text("id"),
            order=params.number("order") or Decimal(0),
            shares=shares,
            retries=max((r for r in retries if r is not None), default=None),
            timeouts={key: s for key, s in waits.items() if s},
            defaults=kept,
            where=entry.path,
        )
        mode = info.text("mode")
        if mode.startswith(MEDIA):
            self._draft.left_out(info.at("mode"), f"{mode} has no path here.")
        if shares[1:] != [None, None]:
            says = "rpm and tpm are weights only: a 429 moves a call on, and limits belong to keys."
            self._draft.differs(entry.path, says)
        self._groups.setdefault(name, []).append(deployment)
        if deployment.id:
            self._ids.setdefault(deployment.id, target)
        self._price(target, params, info)

    def _price(self, target: str, params: Given, info: Given) -> None:
        found: dict[str, Any] = {}
        for figure, key in PRICES.items():
            per_token = info.number(key) if key in info else params.number(key)
            if per_token is not None:
                found[figure] = per_token * MILLION
        if found:
            self._draft.price(target, found, info.path)

    def _wildcard(self, name: str, located: Located, entry: Given) -> None:
        prefix, slash, rest = name.partition("/")
        if located.prefix == "*" or (not slash and name == "*"):
            if located.prefix != "*":
                self._endpoints.provider(located, "", entry.path)
            says = (
                "a name without a provider leads to the one provider that lists it; where two "
                "do, or none, clients say PROVIDER/MODEL."
            )
            self._draft.differs(entry.path, says)
        elif slash and rest == "*" and model_of(located.row, located.model)[0] == "*":
            made = self._endpoints.provider(located, prefix, entry.path)
            if made and made != prefix:
                says = f"clients say {made}/MODEL in place of {prefix}/MODEL."
                self._draft.to_set(entry.path, says)
        else:
            self._endpoints.provider(located, "", entry.path)
            says = "a pattern here does not rewrite the model's name: write a route for each name."
            self._draft.left_out(entry.path, says)

    # -- groups -------------------------------------------------------------------------------

    def _lists(self, key: str) -> dict[str, list[str]]:
        """`[{name: [names]}]`, or the same without the list."""
        table = self._router if key in self._router else self._module
        inner = table.tables(key) or [table.table(key)]
        return {name: one.texts(name) for one in inner for name in one.names()}

    def _names(self, key: str) -> list[str]:
        return self._router.texts(key) or self._module.texts(key)

    def _aliases(self) -> dict[str, str]:
        table = self._router.table("model_group_alias")
        found: dict[str, str] = {}
        for alias in table.names():
            found[alias] = table.text(alias) or table.table(alias).text("model")
        return {alias: name for alias, name in found.items() if alias and name}

    def _targets(self, names: Iterable[str], where: str) -> list[str]:
        """The targets behind the names of groups, of deployments or of wildcards."""
        found: list[str] = []
        for name in names:
            provider, slash, model = name.partition("/")
            if name in self._groups:
                found += [d.target for d in sorted(self._groups[name], key=lambda d: d.order)]
            elif name in self._ids:
                found.append(self._ids[name])
            elif slash and model and provider in self._draft.providers:
                found.append(name)
            else:
                self._draft.left_out(where, "a fallback names what is not in model_list.")
        return found

    def _route(self, name: str, then: list[str], refused: list[str]) -> None:
        group = sorted(self._groups[name], key=lambda d: d.order)
        source = f"fallbacks of {name}"
        after = self._targets(then, source)
        first = [d for d in group if d.order == group[0].order]
        after = [*(d.target for d in group[len(first) :]), *after]
        # By weight, rpm or tpm, as the first of them has it: so LiteLLM does.
        kind = next((n for n, share in enumerate(first[0].shares) if share is not None), None)
        own = [(d.target, ONE if kind is None else d.shares[kind] or Decimal(0)) for d in first]
        values = route(own, after, self._pick(len(first) > 1, bool(after)))
        values |= attempts(self._retried(group), len(first))
        timeouts, other = agreed([d.timeouts for d in group])
        asked, others = agreed([d.defaults for d in group])
        values |= {key: v for key, v in (("timeouts", timeouts), ("defaults", asked)) if v}
        origins = [d.where for d in group]
        for key in (*other, *others):
            says = f"{key} differs within {name}, and a route has one: give each its own route."
            self._draft.left_out(", ".join(origins), says)
        if self._drop:
            values["drop_unsupported"] = True
        if refused and set(self._targets(refused, source)) <= set(values["try"]):
            values["fall_over_on_refusal"] = True
        elif refused:
            says = "give the route these targets, and fall_over_on_refusal = true."
            self._draft.left_out(f"content_policy_fallbacks of {name}", says)
        self._draft.models[name] = Entry(values, origins)

    def _pick(self, several: bool, after: bool) -> Pick:
        strategy = self._router.text("routing_strategy") or "simple-shuffle"
        where, pick = "router_settings.routing_strategy", PICKS.get(strategy)
        if pick is None:
            self._draft.left_out(where, "no pick does this; the deployments are drawn by weight.")
        elif strategy.startswith("usage") and several:
            self._draft.differs(where, "the deployment with the fewest calls open is asked.")
        if pick is None or (pick != "weighted" and several and after):
            if pick:
                says = "where fallbacks come last the deployments are drawn by weight instead."
                self._draft.differs(where, says)
            return "weighted"
        return pick

    def _retried(self, group: list[Deployment]) -> Decimal | None:
        own = [d.retries for d in group if d.retries is not None]
        return max(own) if own else self._retries

    def _alias(self, alias: str, name: str) -> None:
        where = "router_settings.model_group_alias"
        if name not in self._draft.models:
            self._draft.left_out(where, "an alias names what is not in model_list.")
        elif alias not in self._draft.models:
            entry = self._draft.models[name]
            self._draft.models[alias] = Entry(dict(entry.values), [f"{where}: as {name}"])

    def _key(self) -> None:
        general = self._given.table("general_settings")
        master, where = general.text("master_key"), general.at("master_key")
        if not master:
            return
        secret = self._draft.reference(master, where, "LITELLM_MASTER_KEY")
        self._draft.keys["master"] = Entry({"secret": secret}, [where])
        says = 'it is a caller\'s key; role = "admin" in its table opens /admin to it.'
        self._draft.differs(where, says)
