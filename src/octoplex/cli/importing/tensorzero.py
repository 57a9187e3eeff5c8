"""TensorZero's `tensorzero.toml`.

Its callers say `tensorzero::model_name::NAME` and `tensorzero::function_name::NAME`, so these
are the names of the routes. A model's `routing` is an order; a function's variants are chosen
among by weight, then its fallback variants are asked. What a function adds to a request, its
prompts and tools, stays with the caller here.

Reference: https://www.tensorzero.com/docs/gateway/configuration-reference
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from octoplex.cli.importing.draft import Draft, Entry
from octoplex.cli.importing.given import Given
from octoplex.cli.importing.routes import ONE, agreed, attempts, defaults, route
from octoplex.cli.importing.tensorzero_endpoints import TensorZeroEndpoints
from octoplex.cli.importing.unlike import TENSORZERO
from octoplex.settings import loopback

VARIABLE = re.compile(r"env::?([^:].*)")
ASKED = (
    *("temperature", "top_p", "max_tokens", "seed", "presence_penalty", "frequency_penalty"),
    *("reasoning_effort", "service_tier", "verbosity", "stop_sequences"),
)
"""Members of a request that a variant may hold."""
PRICES = {
    "/usage/prompt_tokens": "input",
    "/usage/input_tokens": "input",
    "/usage/total_tokens": "input",
    "/usage/completion_tokens": "output",
    "/usage/output_tokens": "output",
    "/usage/cache_read_input_tokens": "cached_input",
    "/usage/prompt_tokens_details/cached_tokens": "cached_input",
    "/usage/cache_creation_input_tokens": "cache_write",
}
WITHIN = "/usage/prompt_tokens_details/cached_tokens"
"""Part of another count, so that its rate is what is taken off."""


def carry(given: Given, draft: Draft) -> None:
    """Put what the file says into the draft, and what it cannot be into notes."""
    TensorZero(given, draft).carry()


class TensorZero:
    """One file on its way."""

    def __init__(self, given: Given, draft: Draft) -> None:
        self._given, self._draft = given, draft
        self._endpoints = TensorZeroEndpoints(given.table("provider_types"), draft)
        self._targets: dict[str, list[str]] = {}

    def carry(self) -> None:
        """Read every part."""
        self._server()
        for kind, word in (("models", "model_name"), ("embedding_models", "embedding_model_name")):
            for name, model in self._given.named(kind):
                self._model(f"tensorzero::{word}::{name}", name, model)
        for name, function in self._given.named("functions"):
            self._function(name, function)
        self._draft.unlike(self._given, TENSORZERO)
        says = "clients use /v1/chat/completions: /openai/v1 and /inference are not served."
        self._draft.to_set("", says)
        says = "a model by its provider is PROVIDER/MODEL, not tensorzero::model_name::TYPE::MODEL."
        self._draft.to_set("", says)

    def _server(self) -> None:
        gateway = self._given.table("gateway")
        address, values = gateway.text("bind_address"), self._draft.server.values
        host, _, port = address.rpartition(":")
        where = gateway.at("bind_address")
        if port.isascii() and port.isdigit() and int(port) < 65_536:
            values["listen"] = address
            if not loopback(host.strip("[]")):
                values["listen"] = f"127.0.0.1:{int(port)}"
                says = "an address that others can reach needs a key: make one, then write listen."
                self._draft.to_set(where, says)
        elif address:
            self._draft.left_out(where, "this is no host:port.")
        limit = gateway.number("global_outbound_http_timeout_ms")
        if limit:
            values["timeouts"] = {"total_s": limit / 1000}
        if values:
            self._draft.server.came_from.append("gateway")

    # -- models -------------------------------------------------------------------------------

    def _model(self, route_name: str, name: str, model: Given) -> None:
        providers = dict(model.named("providers"))
        targets, timeouts = [], []
        for provider in model.texts("routing"):
            given = providers.get(provider)
            if given is None:
                self._draft.left_out(model.at("routing"), "it names what is not in providers.")
                continue
            target = self._endpoints.target(given, name)
            if target:
                targets.append(target)
                timeouts.append(self._timeouts(given))
                self._price(target, given)
        if not targets:
            self._draft.left_out(model.path, "no provider of its routing can be asked here.")
            return
        self._targets.setdefault(name, targets)
        own = self._timeouts(model)
        same, other = agreed([{**t, **own} for t in timeouts])
        for key in other:
            says = f"{key} differs among its providers: write it into their tables."
            self._draft.left_out(model.path, says)
        values: dict[str, Any] = {"try": list(dict.fromkeys(targets))}
        values |= {"timeouts": same} if same else {}
        self._draft.models[route_name] = Entry(values, [model.path])

    def _timeouts(self, given: Given) -> dict[str, Decimal]:
        """Theirs, in milliseconds and for streams apart, as ours."""
        inner = given.table("timeouts")
        streaming = inner.table("streaming")
        totals = [
            given.number("timeout_ms"),
            inner.table("non_streaming").number("total_ms"),
            streaming.number("total_ms"),
        ]
        total = max((t for t in totals if t), default=None)
        if len({t for t in totals if t}) > 1:
            says = "total_s holds for streams and others alike: the longer of the two."
            self._draft.differs(inner.path, says)
        found = {"header_s": streaming.number("ttft_ms"), "total_s": total}
        return {key: ms / 1000 for key, ms in found.items() if ms}

    def _price(self, target: str, given: Given) -> None:
        figures: dict[str, Any] = {}
        off: Decimal | None = None
        for cost in given.tables("cost"):
            cost.any("required")
            rate = cost.any("cost_per_million")
            pointer = cost.text("pointer") or cost.text("pointer_nonstreaming")
            cost.any("pointer_streaming")
            figure = PRICES.get(pointer)
            if figure is None or isinstance(rate, bool) or not isinstance(rate, int | Decimal):
                self._draft.left_out(cost.path, "[prices] has input, output, cached_input, ...")
                cost.any("cost_per_unit")
            elif pointer == WITHIN:
                off = Decimal(rate)
            else:
                figures[figure] = Decimal(rate)
        if off is not None and "input" in figures:
            figures["cached_input"] = figures["input"] + off
        if "input" in figures:
            usual = {"input": figures["input"], "output": Decimal(0)}
            self._draft.price(target, usual | figures, given.path)

    # -- functions ----------------------------------------------------------------------------

    def _function(self, name: str, function: Given) -> None:
        variants = dict(function.named("variants"))
        chosen, then = self._choice(function, {n: v.number("weight") for n, v in variants.items()})
        models = {n: self._variant(v) for n, v in variants.items() if n in chosen or n in then}
        for idle in (name for name in variants if name not in models):
            says = "it is neither a candidate nor a fallback: ask for its model by name."
            self._draft.left_out(variants[idle].path, says)
            variants[idle].skip()
        own = [(models[n][0], weight) for n, weight in chosen.items() if models.get(n)]
        after = [t for n in chosen for t in models.get(n, ())[1:]]
        after += [t for n in then for t in models.get(n, ())]
        if not own and after:
            own, after = [(after[0], ONE)], after[1:]
        function.text("type")
        if not own:
            self._draft.left_out(function.path, "no variant of it can be asked here.")
            return
        values = route(own, after)
        used = [variants[n] for n in models if models[n]]
        values |= self._said(function, [variants[n] for n in chosen if models[n]] or used)
        retries = [v.table("retries").number("num_retries") for v in used]
        values |= attempts(max((r for r in retries if r is not None), default=None), 1)
        timeouts, _ = agreed([self._timeouts(v) for v in used])
        values |= {"timeouts": timeouts} if timeouts else {}
        entry = Entry(values, [function.path])
        self._draft.models[f"tensorzero::function_name::{name}"] = entry

    def _choice(
        self, function: Given, weights: Mapping[str, Decimal | None]
    ) -> tuple[dict[str, Decimal], list[str]]:
        """The variants to choose among with their weights, and those for when they failed."""
        if any(weights.values()):  # as it was said before there was `experimentation`
            chosen = {name: weight for name, weight in weights.items() if weight}
            return chosen, [name for name in weights if name not in chosen]
        table = function.table("experimentation")
        kind, listed = table.text("type"), table.texts("candidate_variants")
        inner = table.table("candidate_variants")
        given = {name: inner.number(name) for name in inner.names()}
        then = table.texts("fallback_variants")
        chosen = {name: weight for name, weight in given.items() if weight}
        chosen = chosen or dict.fromkeys(listed or [n for n in weights if n not in then], ONE)
        if kind not in ("", "static", "uniform", "static_weights"):
            table.skip()
            says = "nothing is learned from feedback: the variants are drawn alike."
            self._draft.differs(table.path, says)
        known = {name: weight for name, weight in chosen.items() if name in weights}
        return known, [name for name in then if name in weights]

    def _variant(self, variant: Given) -> list[str]:
        """The targets of a variant's model, in their order."""
        kind, model = variant.text("type"), variant.text("model")
        if kind not in ("", "chat_completion"):
            says = "a call asks one model: what several say is not put together."
            self._draft.left_out(variant.path, says)
            variant.skip()
            return []
        if model in self._targets:
            return self._targets[model]
        target = self._endpoints.shorthand(model, variant.at("model"))
        return [target] if target else []

    def _said(self, function: Given, variants: Sequence[Given]) -> dict[str, Any]:
        """What the variants add to a request, where they agree."""
        tables = [{k: v.any(k) for k in ASKED if k in v} for v in variants]
        same, other = agreed(tables)
        if "parallel_tool_calls" in function:
            same["parallel_tool_calls"] = function.any("parallel_tool_calls")
        for key in other:
            says = f"{key} differs among its variants, and a route has one: callers say it."
            self._draft.left_out(function.path, says)
        if "stop_sequences" in same:
            same["stop"] = same.pop("stop_sequences")
        kept = defaults(same)
        return {"defaults": kept} if kept else {}
