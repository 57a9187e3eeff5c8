"""What several hosts have in common beside the ledger: news of changes, and operators' switches.

    common.listen("keys", heard)         heard() is awaited within a second of any host's `say`
    common.say("keys")
    common.put("openai", switches)       one provider's switches, for all hosts
    await common.switches(own)           all of them, as all hosts have them

News says that something changed, never what: whoever hears it reads again. So words may be
told twice or late, or be lost on the way: a counter beside them is looked at, too.
`RedisCommon` (`redis/common.py`) is one.
"""

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from octoplex.ledger.switches import Switches

Topic = Literal["keys", "switches", "cache"]
Heard = Callable[[], Awaitable[None]]


class Common(Protocol):
    """Owned by the event loop. Neither `say` nor `put` waits or fails: what cannot be said now
    is said as soon as it can."""

    def say(self, topic: Topic) -> None:
        """Tell the other hosts that something has changed."""
        ...

    def listen(self, topic: Topic, heard: Heard) -> None:
        """Be told when another host said so, or when it may have."""
        ...

    def put(self, id_: str, switches: Switches) -> None:
        """Have one provider be everywhere as it is in these, and say so."""
        ...

    async def switches(self, own: Switches) -> Switches:
        """Those of all hosts; where none ever put any for a provider, one's own.

        Nothing may be `put` meanwhile: what is returned would be without it.

        Raises:
            StoreFailed: they cannot be read now.
        """
        ...
