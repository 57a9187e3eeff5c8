"""Which models a key may name: exact names first, then globs.

    Models(("main", "openai/*", "claude-*")).allows("openai/gpt-5-mini")   # True

`*` matches any characters, `/` too, because ids may hold slashes; `?` one; `[ab]` one
of a set. No patterns at all, or `*`, allow everything. Names are case-sensitive, as
providers' ids are. A name that was allowed through a glob costs one regular
expression (0.3 us), an exact one a set lookup.
"""

import re
from collections.abc import Iterable
from fnmatch import translate

WILD = frozenset("*?[")


class Models:
    """A compiled list of names and globs."""

    __slots__ = ("_above", "_globs", "_names", "every", "patterns")

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self.patterns = tuple(patterns)
        self._above: tuple[Models, ...] = ()
        for pattern in self.patterns:
            if not pattern or not pattern.isprintable() or pattern != pattern.strip():
                raise ValueError(
                    f"{pattern!r} is no model name; write main, openai/gpt-5-mini or openai/*"
                )
        self.every = not self.patterns or "*" in self.patterns
        globs = [p for p in self.patterns if WILD & set(p)]
        self._names = frozenset(self.patterns) - frozenset(globs)
        self._globs = re.compile("|".join(translate(g) for g in globs)).match if globs else None

    def within(self, above: "Iterable[Models]") -> "Models":
        """What is on this list and on all of those."""
        both = Models(self.patterns)
        both._above = tuple([one for one in above if not one.every])
        both.every = self.every and not both._above
        return both

    def allows(self, *names: str) -> bool:
        """Whether one of these names of a model is on the list, and on each of those above."""
        if self.every:
            return True
        if self.patterns and not any(map(self._lists, names)):
            return False
        return all(one.allows(*names) for one in self._above)

    def _lists(self, model: str) -> bool:
        if model in self._names:
            return True
        return self._globs is not None and self._globs(model) is not None

    def __str__(self) -> str:
        own = ", ".join(self.patterns)
        above = [str(one) for one in self._above]
        return "; of these only: ".join([own, *above] if own else above) or "every model"


EVERY = Models()
