"""What operators do to routes that learn, each as one deed: noted in the audit log, then made.

    deed = deed_of(data, settings, "label", {"route": "support", ...}, "key:boss")
    with audit.change(who, deed.what, deed.route, before=deed.before, after=deed.after):
        deed.do()

By the process that owns the data folder, which alone writes that log: the server, or the shell
where none runs. What is asked wrongly is refused before it is noted.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.assembly import labelling, optimizing
from octoplex.settings import Settings

HOWS = ("pause", "resume", "rollback", "label", "forget", "warm")


class Deed(Struct, frozen=True):
    """A change of a route that may be made."""

    what: str
    """As the audit log names it."""
    route: str
    do: Callable[[], Any]
    """Makes it; what is told of it."""
    before: Any = None
    after: Any = None


class Lessons(Struct, frozen=True):
    """What the shell is about to append by itself, or why that has failed."""

    route: str
    lessons: int = 0
    digest: str = ""
    failed: str = ""


def deed_of(data: Path, settings: Settings, how: str, order: Mapping[str, Any], who: str) -> Deed:
    """The deed that an order `optimizer.HOW` means.

    Raises:
        NotFound: no route of this name learns, or no such pair waits.
        InvalidCall: nothing can be done of this name, or not so.
        msgspec.ValidationError: the order has other members than it should.
        StoreFailed: what was kept cannot be read.
    """
    what, route = f"optimizer.{how}", str(order.get("route", ""))
    if how == "label":
        said = msgspec.convert({**order, "who": who}, labelling.Said)
        labelling.check_waits(data, settings, said)
        after: Any = {"request_id": said.request_id, "good": said.good}
        return Deed(what, route, partial(labelling.say, data, said), after=after)
    if how == "forget":
        before = {"pairs": labelling.count(data, settings, route)}
        return Deed(what, route, partial(labelling.forget, data, route), before)
    if how == "warm":
        optimizing.check(settings, route)
        told = msgspec.convert(order, Lessons)
        after = told.failed or {"lessons": told.lessons, "digest": told.digest}
        return Deed(what, route, lambda: None, after=after)
    lever = optimizing.lever(settings, route, how, who, str(order.get("why", "")))
    before = optimizing.before(data, route)
    done = partial(optimizing.pull, data, lever)
    return Deed(what, route, done, before, {"why": lever.why})
