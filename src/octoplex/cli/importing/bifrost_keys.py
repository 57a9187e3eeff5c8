"""Bifrost's virtual keys with their budgets and rate limits, as `[keys.NAME]`.

Its own limits become narrower where they cannot be as they were, never wider: a window that has
no word here becomes the next longer one, and a key that may ask for nothing is left out. What
bounds it elsewhere (its team, a provider, a model) is named in a note.

Reference: https://docs.getbifrost.ai/deployment-guides/config-json/governance
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from octoplex.cli.importing.draft import Draft, Entry, free, slug, upper
from octoplex.cli.importing.given import Given
from octoplex.cli.importing.written import value
from octoplex.reflex.limit import parse
from octoplex.reflex.models import Models

DAY_S = 86_400
_DURATION = re.compile(r"(\d{1,9})(s|m|h|d|w|M|Y)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": DAY_S, "w": 7 * DAY_S, "M": 30 * DAY_S}
_SECONDS |= {"Y": 365 * DAY_S}
DOLLARS = ((60, "min"), (3_600, "hour"), (DAY_S, "day"), (7 * DAY_S, "week"), (30 * DAY_S, "month"))
RATES = ((1, "s"), (60, "min"), (3_600, "hour"), (DAY_S, "day"))
UNREADABLE = "?"
"""A limit that says nothing: no call may pass for want of a word."""
NARROWER = (
    "which keys of a provider it leads to is no bound here: [keys.NAME] region bounds where "
    "targets answer, and models may name one table."
)
LONGER = "its window has no word here: the same holds for the next longer one, which is less."


class VirtualKeys:
    """The keys of one file. `tables` names the table of each provider."""

    def __init__(
        self, given: Given, draft: Draft, tables: Mapping[str, str], empty_is_all: bool
    ) -> None:
        self._given, self._draft, self._tables = given, draft, tables
        self._empty_is_all = empty_is_all
        self._budgets = {b.text("id"): b for b in given.tables("budgets")}
        self._rates = {r.text("id"): r for r in given.tables("rate_limits")}
        self._teams = {team.text("id"): team for team in given.tables("teams")}
        self._customers = {one.text("id"): one for one in given.tables("customers")}
        self._tenants: dict[str, str] = {}

    def carry(self) -> None:
        """Read every key, then note the limits that belong to none."""
        used: set[str] = set()
        for key in self._given.tables("virtual_keys"):
            self._key(key, used)
        for name, limit in [*self._budgets.items(), *self._rates.items()]:
            if name not in used:
                says = "it belongs to no key that is carried: limits are [keys.NAME] limits."
                self._draft.left_out(limit.path, says)
                limit.skip()

    def _key(self, key: Given, used: set[str]) -> None:
        id_, label = key.text("id"), key.text("name")
        configs, on = key.tables("provider_configs"), key.any("is_active") is not False
        if len(configs) == 1:
            configs[0].any("weight")
        models = [name for config in configs for name in self._models(config)]
        limits, shut = self._limits(key, id_, used)
        if not on or not models or shut:
            key.skip()
            self._draft.left_out(
                key.path,
                "it is switched off, may ask for nothing, or has a limit without amount or window.",
            )
            return
        name = free(slug(label or id_) or "key", self._draft.keys)
        values: dict[str, Any] = {"secret": self._secret(key, name), "models": models}
        if limits:
            values["limits"] = ", ".join(limits)
        tenant = self._tenant_of(key, used)
        if tenant:
            values["tenant"] = tenant
        self._draft.keys[name] = Entry(values, [key.path])

    def _tenant_of(self, key: Given, used: set[str]) -> str:
        """The tenant of a key: a team below its customer, a team alone, or a customer."""
        team, customer = key.text("team_id"), key.text("customer_id")
        table = self._teams.get(team)
        if table is not None:
            customer = table.text("customer_id") or customer
        above = self._tenant(customer, self._customers.get(customer), "", used) if customer else ""
        return self._tenant(team, table, above, used) if team else above

    def _tenant(self, id_: str, table: Given | None, above: str, used: set[str]) -> str:
        """The name of a tenant, whose table is written when it is first met."""
        if id_ in self._tenants:
            return self._tenants[id_]
        plain = slug((table.text("name") if table else "") or id_).replace(".", "-") or "tenant"
        name = free(f"{above}.{plain}" if above else plain, self._draft.tenants)
        self._tenants[id_] = name
        values: dict[str, Any] = {}
        if table is not None:
            limits, shut = self._limits(table, "", used)
            if shut:
                says = "a limit of it is without amount or window."
                self._draft.left_out(table.path, says)
            elif limits:
                values["limits"] = ", ".join(limits)
        came_from = table.path if table is not None else f"an owner {id_} that is not among them"
        self._draft.tenants[name] = Entry(values, [came_from])
        return name

    def _secret(self, key: Given, name: str) -> str:
        text, wanted = key.text("value"), f"{upper(name)}_KEY"
        if text:
            return self._draft.reference(text, key.at("value"), wanted)
        says = f"Bifrost made this key up: copy it from there, or choose one, and set {wanted}."
        self._draft.to_set(key.path, says)
        return self._draft.named(wanted)

    def _models(self, config: Given) -> list[str]:
        """What one `provider_configs` entry lets a key ask for."""
        provider = config.text("provider")
        table, allowed = self._tables.get(provider, ""), config.texts("allowed_models")
        ids = config.texts("key_ids")
        if ids != ["*"] and not (self._empty_is_all and not ids):
            self._draft.left_out(config.at("key_ids"), NARROWER)
        if not table:
            self._draft.left_out(config.path, "it names a provider that is not among them.")
            return []
        if "*" in allowed or (self._empty_is_all and not allowed):
            return [f"{table}/*"]
        found = [f"{table}/{m}" for m in allowed]
        found += [m for m in allowed if m in self._draft.models]  # routes of rules
        good = []
        for name in found:
            try:
                Models((name,))
            except ValueError:
                self._draft.left_out(config.path, "a name of a model cannot be read.")
            else:
                good.append(name)
        return good

    def _limits(self, key: Given, id_: str, used: set[str]) -> tuple[list[str], bool]:
        """The pieces of `limits`, and whether one of them lets nothing pass."""
        pieces: list[str] = []
        named = {key.text("budget_id"), key.text("rate_limit_id")} - {""}
        for name, budget in self._budgets.items():
            if name in named or (id_ and budget.text("virtual_key_id") == id_):
                used.add(name)
                pieces += self._dollars(budget)
        for name, rate in self._rates.items():
            if name in named:
                used.add(name)
                pieces += self._each(rate)
        good: dict[str, str] = {}
        for piece in pieces:
            amount, _, window = piece.partition("/")
            try:
                parse(piece)
            except ValueError:
                return [], True
            kind = window + amount.lstrip("$0123456789.")
            if good.setdefault(kind, piece) != piece:
                self._draft.left_out(key.path, f"a second limit for one window: {piece}.")
        return list(good.values()), False

    def _dollars(self, budget: Given) -> Iterator[str]:
        amount = budget.number("max_limit")
        seconds = _seconds(budget.text("reset_duration"))
        if amount is None or not seconds:
            yield UNREADABLE
            return
        says = "a budget begins anew with the calendar's day, week or month, UTC."
        self._draft.differs(budget.path, says)
        yield f"${_figure(amount)}/{self._window(budget, seconds, DOLLARS) or 'total'}"

    def _each(self, rate: Given) -> Iterator[str]:
        rate.any("metric")
        for what, unit in (("request", "req"), ("token", "tok")):
            amount = rate.number(f"{what}_max_limit")
            seconds = _seconds(rate.text(f"{what}_reset_duration"))
            if amount is None:
                continue
            if not seconds:
                yield UNREADABLE
                continue
            window = self._window(rate, seconds, RATES)
            days = 1 if window else -(-seconds // DAY_S)
            yield f"{_figure(amount // days)} {unit}/{window or 'day'}"

    def _window(self, given: Given, seconds: int, words: Sequence[tuple[int, str]]) -> str:
        """The word for a window, or for the next longer one; "" where there is none."""
        length, word = next(((n, w) for n, w in words if n >= seconds), (0, ""))
        if length != seconds:
            self._draft.differs(given.path, LONGER)
        return word


def _seconds(duration: str) -> int:
    """`1h` or `1M`, as Bifrost writes them; 0 where it is neither."""
    found = _DURATION.fullmatch(duration)
    return int(found[1]) * _SECONDS[found[2]] if found else 0


def _figure(amount: Decimal) -> str:
    return value(amount)
