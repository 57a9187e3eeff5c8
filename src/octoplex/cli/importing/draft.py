"""What will be written, while another gateway's file is read, and the notes on the rest.

A note has one of three kinds:

    left out   has no counterpart here, and what to do instead
    differs    is carried, and does not mean quite the same
    set        is for the reader to do before the start

Two rules hold whatever the foreign file says. A secret is written as a reference only: where
the file holds the secret itself, a variable is made up for it and its value is in no output.
And what is written has been read back by the settings themselves.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct

from octoplex.catalog.own_price import own_price
from octoplex.cli.importing.given import Given
from octoplex.cli.importing.written import table
from octoplex.settings import parse
from octoplex.transport.origin import Origin, header_block
from octoplex.wire.error import BadConfig, GatewayError

NO_KEY = frozenset({"", "none", "null", "empty", "not-needed"})
"""What people write where a server wants no key."""
MOST_NAMED = 6
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USER = re.compile(r"(?<=://)[^/?#]*@")


class Note(Struct, frozen=True):
    """One thing to know. `where` is a place in the foreign file, "" for all of it."""

    kind: Literal["left out", "differs", "set"]
    where: str
    says: str


class Entry(Struct):
    """One table that will be written, and where it came from."""

    values: dict[str, Any]
    came_from: list[str]

    def comment(self) -> str:
        """The line above it."""
        more = len(self.came_from) - MOST_NAMED
        shown = ", ".join(self.came_from[:MOST_NAMED])
        return f"from {shown} and {more} more" if more > 0 else f"from {shown}"


class Draft:
    """An `octoplex.toml` in the making.

    `variable` finds the name in a reference of theirs; `mentioned` are the variables that their
    file names anywhere, so that none of them is made up for something else.
    """

    def __init__(
        self,
        title: str,
        variable: re.Pattern[str],
        mentioned: frozenset[str],
        env: Mapping[str, str],
    ) -> None:
        self.title, self._variable, self._mentioned, self._env = title, variable, mentioned, env
        self.server = Entry({}, [])
        self.providers: dict[str, Entry] = {}
        self.models: dict[str, Entry] = {}
        self.prices: dict[str, dict[str, Any]] = {}
        self.listed: dict[str, dict[str, Any]] = {}
        self.tenants: dict[str, Entry] = {}
        """A team's name has its organisation's before it, and a dot."""
        self.keys: dict[str, Entry] = {}
        self._notes: dict[tuple[str, str], list[str]] = {}
        self._variables: dict[str, str | None] = {}

    def left_out(self, where: str, says: str) -> None:
        """Say that something has no counterpart."""
        self._note("left out", where, says)

    def differs(self, where: str, says: str) -> None:
        """Say that something is carried and is not the same."""
        self._note("differs", where, says)

    def to_set(self, where: str, says: str) -> None:
        """Say what the reader must do."""
        self._note("set", where, says)

    def _note(self, kind: str, where: str, says: str) -> None:
        places = self._notes.setdefault((kind, says), [])
        if where and where not in places:
            places.append(where)

    def unlike(self, given: Given, reasons: Mapping[str, str]) -> None:
        """Note every key that nobody read, with the reason that is known for it."""
        for where in given.unread():
            path = re.sub(r"\[\d+\]", "", where)
            parts = path.split(".")
            above = (".".join(parts[:n]) for n in range(len(parts) - 1, 0, -1))
            known = (reasons[name] for name in (path, parts[-1], *above) if name in reasons)
            self.left_out(where, next(known, "nothing here corresponds to it."))

    # -- secrets and addresses ----------------------------------------------------------------

    def reference(self, text: str, where: str, wanted: str) -> str:
        """The reference for a secret of theirs; `wanted` names the variable of a literal one."""
        named = self.variable_in(text)
        if named:
            return self.named(named)
        name, number = wanted, 1
        while name in self._mentioned or self._variables.get(name, text) != text:
            number += 1
            name = f"{wanted}_{number}"
        if self._variables.get(name) is None:
            self._variables[name] = text
            says = f"the value itself stands there, and is not copied: put it into {name}."
            self.to_set(where, says)
        return f"env:{name}"

    def named(self, variable: str) -> str:
        """The reference of a variable that their gateway reads unasked."""
        self._variables.setdefault(variable, None)
        return f"env:{variable}"

    def header(self, name: str, text: str, where: str, shown: Collection[str]) -> dict[str, str]:
        """A request header; its value is a secret unless the name is among those `shown`."""
        plain = name.lower() in shown and not self.variable_in(text)
        try:
            header_block([(name, text if plain else "x")])
        except GatewayError:
            self.left_out(where, "this is no name or value of a header.")
            return {}
        return {name.lower(): text if plain else self.reference(text, where, upper(name))}

    def variable_in(self, text: str) -> str:
        """The variable that a text of theirs refers to; "" when it is none."""
        found = self._variable.fullmatch(text)
        return found[1] if found and _VARIABLE.fullmatch(found[1]) else ""

    def plain(self, text: str) -> str:
        """What is no secret: as it stands, or what its variable holds now; "" for nothing."""
        named = self.variable_in(text)
        return self._env.get(named, "") if named else text

    def address(self, text: str, where: str, name: str) -> str:
        """A base URL as it can stand here. One that is not known yet ends in `.invalid`."""
        named, url = self.variable_in(text), self.plain(text)
        bare = _USER.sub("", url.partition("?")[0].partition("#")[0]).rstrip("/")
        try:
            Origin.parse(bare)
        except GatewayError:
            unknown = f"https://{slug(name).lower().replace('_', '-') or 'unknown'}.invalid"
            holds = f"what {named} holds" if named else "the address"
            says = f"this is no http or https URL now: write {holds} in place of {unknown}."
            self.to_set(where, says)
            return unknown
        if bare != url.rstrip("/"):
            self.left_out(where, "user, query and fragment of an address: use api_key and query.")
        if named:
            says = f"an address cannot be a variable here: written is what {named} holds now."
            self.differs(where, says)
        return bare

    # -- what is written ----------------------------------------------------------------------

    def price(self, target: str, figures: dict[str, Any], where: str) -> None:
        """Add a price in dollars per million tokens; the first of a target counts."""
        try:
            own_price(target, figures)
        except BadConfig as error:
            self.left_out(where, str(error))
            return
        if self.prices.setdefault(target, figures) != figures:
            self.left_out(where, f"another price of {target} stands before it.")

    def text(self) -> str:
        """The whole file.

        Raises:
            BadConfig: the settings would refuse it.
        """
        parts = [f"# Carried over from {self.title} by `octoplex import`.\n"]
        if self.server.values:
            parts.append(table(["server"], self.server.values, self.server.comment()))
        for room, entries in (("providers", self.providers), ("models", self.models)):
            for name, entry in entries.items():
                parts.append(table([room, name], entry.values, entry.comment()))
        prices = {**self.listed, **self.prices}
        if prices:
            parts.append(table(["prices"], prices, "Dollars per million tokens."))
        for name, entry in self.tenants.items():
            parts.append(table(["tenants", *name.split(".")], entry.values, entry.comment()))
        for name, entry in self.keys.items():
            parts.append(table(["keys", name], entry.values, entry.comment()))
        text = "\n".join(parts)
        parse(text)
        return text

    def notes(self) -> list[Note]:
        """Every note: what is left out, what differs, what to set."""
        order = ("left out", "differs", "set")
        notes = [Note(k, ", ".join(at), says) for (k, says), at in self._notes.items()]  # type: ignore[arg-type]
        notes.sort(key=lambda note: order.index(note.kind))
        if self._variables:
            names = ", ".join(self._variables)
            notes.append(Note("set", "", f"these variables must be there at the start: {names}."))
        return notes


def slug(text: str) -> str:
    """A name for a table: what is neither letter, digit, dot nor underline becomes a dash."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")[:60].strip("-.")


def upper(text: str) -> str:
    """A name for a variable."""
    name = re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_")[:60]
    return name if _VARIABLE.fullmatch(name) else f"OCTOPLEX_{name}".rstrip("_")


def free(wanted: str, taken: Iterable[str]) -> str:
    """The name, or the first of NAME-2, NAME-3, ... that is free."""
    taken = set(taken)
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name
