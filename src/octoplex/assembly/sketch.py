"""A configuration compiled only to be looked at: no data folder, no lock, no network.

`octoplex check`, `explain`, `models` and `providers` must say what a server would do,
also beside one that runs. So they compile the very same `Plan`, over parts that nobody
will ever use: a sender that plays a script and a book that writes nothing down.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path

from octoplex.assembly.callers import check_alerts, file_keys
from octoplex.assembly.dialects import dialects, faces
from octoplex.assembly.plan import Plan
from octoplex.assembly.tools import check_tools
from octoplex.ledger.book import Book
from octoplex.ledger.rows import Order, Settlement
from octoplex.reflex.gate import Desk
from octoplex.reflex.keys import Hasher, Key, Keyring
from octoplex.reflex.tenants import all_placed, compiled
from octoplex.settings import Settings
from octoplex.transport.fake import Fake
from octoplex.transport.http import Sender
from octoplex.transport.origin import Proxies
from octoplex.transport.tokens import Purse
from octoplex.upstreams.detect import NONE_FOUND, Found
from octoplex.upstreams.judge import Judge
from octoplex.upstreams.local.fleet import Fleet


class _Nowhere:
    """A journal that forgets."""

    def reserve(self, order: Order) -> None:
        """Nothing is spent in a sketch."""

    def settle(self, settlement: Settlement) -> None:
        """Nothing is spent in a sketch."""


class Sketch:
    """What a `Plan` is made of, without what it would serve with. Needs a running loop."""

    def __init__(self, env: Mapping[str, str], data: Path) -> None:
        self.data, self.env, self.proxies = data, env, Proxies.of(env)
        self.client: Sender = Fake()
        self.purse = Purse(self.client)
        self.trust: ssl.SSLContext | None = None
        self.book = Book(_Nowhere())
        self.dialects = dialects()
        self.faces = faces()
        self.fleet = Fleet(data, self.client, self.dialects)
        self.judge = Judge()
        self.hasher = Hasher(b"not a pepper")
        self.desk = Desk()
        self.agents = None

    def plan(self, settings: Settings, found: Found = NONE_FOUND) -> Plan:
        """Compile everything but the keys.

        Raises:
            BadConfig: as a start would.
        """
        plan = Plan(settings, self, found)
        self.fleet.check(settings.local)
        self.fleet.configure(settings.local)
        return plan

    def keys(self, settings: Settings) -> list[Key]:
        """Compile the file's tenants and keys, secrets read and thrown away.

        Raises:
            BadConfig: as a start would.
        """
        check_alerts(settings, self.env)
        check_tools(settings, self.env)
        own = file_keys(settings, self.env, self.hasher)
        return list(Keyring(self.hasher, all_placed(own, compiled(settings.tenants))))
