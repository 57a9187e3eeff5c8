"""Tells whoever must know that a tenant has spent so much of a budget: once for each threshold.

    async with Watch(lambda: app.gateway):

Once a second every budget with thresholds is looked at; no request waits for any of it. What
is over a threshold is written to the log and, where there is a webhook, sent to it: a POST of
JSON whose header `x-octoplex-signature` is `sha256=` and the hexadecimal HMAC-SHA256 of
`x-octoplex-timestamp`, a dot and the body. What is not answered with 2xx is sent again after
1 s, 4 s, 16 s and so on, for some six hours. The webhook comes from the operator's own file, so
it may lie on a private address.

What was delivered is kept in `alerts.json` of the data folder, so that a restart does not tell
it again; what was not is told again then. So receivers see each `id` at least once, rarely twice.
It is forgotten an hour after its window, or what renews each minute would grow for ever.

Of several hosts on one database the one tells it that claims it there first (`Notices`); another
does when the claim is not renewed, because its host died before it was taken.

Not promised: that spending between two looks is told in two alerts; nor that what is billed later
than 20 s after its window is told at all.
"""

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from octoplex.gateway import Gateway
from octoplex.ledger.allowance import Left, dollars
from octoplex.ledger.period import MINUTE_MS, called, instant
from octoplex.ledger.store import Whose
from octoplex.reflex.tenants import Alerts, Tenant
from octoplex.settings import secret, url
from octoplex.transport.http import Request
from octoplex.transport.origin import header_block, place_of
from octoplex.transport.response import Limits
from octoplex.wire.error import GatewayError, StoreFailed

log = logging.getLogger("octoplex.alerts")
NAME = "alerts.json"
LOOK_S = 1.0
TRIES, ANSWER_S = 9, 10.0
TERM_S, RENEW_S = 60.0, 20.0
"""How long a host may tell an alert that it has claimed, and how often it claims it again."""
LATER_S = 5.0
"""When to look again at what another host tells, or nobody knows who does."""
AT_ONCE = 20
"""Tenants that are looked at without letting requests pass."""
BACK_MS = 20_000
"""How long after its end a window is still looked at."""
FORGOTTEN_MS = 3_600_000
"""After its window, which a clock that is set back a little can bring again."""
PARTS = 5
"""Of an id, parted by blanks; the third is when its window ends."""
_json = msgspec.json.Encoder().encode


class Alert(Struct, frozen=True, kw_only=True):
    """The body of a webhook's request. `at` is the part of the budget that was reached."""

    id: str
    event: str = "budget.threshold"
    tenant: str
    window: str
    window_ends_at: str
    at: float
    cap_nano: int
    spent_nano: int


def crossed(tenant: Tenant, budgets: list[Left]) -> list[Alert]:
    """The thresholds of a tenant that are reached."""
    parts = tenant.alerts.at if tenant.alerts else ()
    return [
        Alert(
            id=f"{tenant.name} {left.window} {left.ends_at} {left.cap_nano} {part:g}",
            tenant=tenant.name,
            window=left.window,
            window_ends_at=left.ends_at,
            at=part,
            cap_nano=left.cap_nano,
            spent_nano=left.spent_nano,
        )
        for left in budgets
        for part in parts
        if left.spent_nano >= part * left.cap_nano
    ]


def signed(body: bytes, key: str, at_s: int) -> tuple[tuple[str, str], ...]:
    """The headers that prove who sends a body, and when."""
    mac = hmac.new(key.encode(), b"%d.%b" % (at_s, body), hashlib.sha256)
    return (
        ("content-type", "application/json"),
        ("user-agent", "octoplex"),
        ("x-octoplex-timestamp", str(at_s)),
        ("x-octoplex-signature", f"sha256={mac.hexdigest()}"),
    )


class Watch:
    """Looks at the budgets of the configuration in force, which `gateway` gives."""

    def __init__(
        self,
        gateway: Callable[[], Gateway],
        look_s: float = LOOK_S,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._gateway, self._look_s, self._now_ms = gateway, look_s, now_ms
        self._path: Path = gateway().works.data / NAME
        self._told = self._read()
        """Delivered, or on its way."""
        self._kept = set(self._told)
        self._written = set(self._kept)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Watch":
        self._begin(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._keep()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        problem = ""
        while True:
            before, problem = problem, await self._looked()
            if problem and problem != before:
                log.error("budgets cannot be looked at now, alerts may come late: %s", problem)
            await self._keep()
            await asyncio.sleep(self._look_s)

    async def _looked(self) -> str:
        """ "" or why it could not look: the next look may fare better."""
        try:
            gateway = self._gateway()
            watched = [t.name for t in gateway.tenants.values() if t.alerts is not None]
            await gateway.works.book.look("", watched, self._now_ms())
            await self.look()
        except Exception as error:  # noqa: BLE001 - whatever it is, the watch goes on
            return f"{type(error).__name__}: {error}"
        return ""

    async def look(self) -> None:
        """Tell what is over a threshold since the last look, also in windows that just ended."""
        gateway, now_ms = self._gateway(), self._now_ms()
        minutes = sorted({(now_ms - BACK_MS) // MINUTE_MS, now_ms // MINUTE_MS})
        for number, tenant in enumerate(gateway.tenants.values()):
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)  # 25 us each: with thousands requests would wait
            for minute in minutes if tenant.alerts else ():
                budgets = gateway.works.book.left_of_tenant(tenant.name, minute * MINUTE_MS)
                for alert in crossed(tenant, budgets):
                    if tenant.alerts and alert.id not in self._told:
                        self._told.add(alert.id)
                        self._begin(self._tell(alert, tenant.alerts))
        over = _over(now_ms)
        for known in (self._told, self._kept):
            known -= {id_ for id_ in known if id_.split()[2] < over}

    async def _tell(self, alert: Alert, alerts: Alerts) -> None:
        """Tell it, unless another host does: then look again later whether it did."""
        whose = await self._claim(alert)
        if whose == "ours":
            log.warning(
                "the %s has spent %s of its %s per %s, which is over %g %%",
                called(alert.tenant),
                dollars(alert.spent_nano),
                dollars(alert.cap_nano),
                alert.window,
                100 * alert.at,
            )
            whose = await self._deliver(alert, alerts)
        if whose == "told":
            self._kept.add(alert.id)
        elif whose == "theirs":
            await asyncio.sleep(LATER_S)
            self._told.discard(alert.id)

    async def _deliver(self, alert: Alert, alerts: Alerts) -> Whose:
        """What became of it; still ours when nobody took it."""
        if alerts.webhook:
            for number in range(TRIES):
                if number and not await self._pause(alert, 4.0 ** (number - 1)):
                    return "theirs"
                problem = await self._send(alert, alerts)
                if not problem:
                    break
                log.warning("the alert of %s was not taken: %s", alert.tenant, problem)
            else:
                return "ours"
        self._kept.add(alert.id)
        while (notices := self._gateway().works.store.notices) is not None:
            try:
                await notices.told(alert.id, _over(self._now_ms()))
            except StoreFailed:
                await asyncio.sleep(LATER_S)
            else:
                break
        return "told"

    async def _claim(self, alert: Alert) -> Whose:
        """Whose it is; where that cannot be known now, nobody's before that."""
        notices = self._gateway().works.store.notices
        with suppress(StoreFailed):
            return "ours" if notices is None else await notices.claim(alert.id, TERM_S)
        return "theirs"

    async def _pause(self, alert: Alert, pause_s: float) -> bool:
        """Wait so long before the next try; whether it is still ours to make."""
        while pause_s > 0:
            await asyncio.sleep(min(pause_s, RENEW_S))
            pause_s -= RENEW_S
            if await self._claim(alert) != "ours":
                return False
        return True

    async def _keep(self) -> None:
        """Write down what was delivered; one at a time, or two would write into each other."""
        if self._kept <= self._written:
            return
        kept = set(self._kept)
        try:
            await asyncio.to_thread(self._write, sorted(kept))
            self._written = kept
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error.strerror)

    async def _send(self, alert: Alert, alerts: Alerts) -> str:
        """ "" or why it was not taken."""
        works = self._gateway().works
        try:
            where = f"[tenants.{alert.tenant}] alerts"
            key = secret(alerts.secret, works.env, f"{where}.secret")
            origin, path = place_of(url(alerts.webhook, works.env, f"{where}.webhook"))
            body = _json(alert)
            extra = header_block(signed(body, key, int(time.time())))
            head = origin.head("POST", path)
            request = Request(origin, head, body, extra, in_pieces=True)  # its status is all
            until_at = asyncio.get_running_loop().time() + ANSWER_S
            response = await works.client.send(request, Limits(deadline_at=until_at))
        except GatewayError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - the next try may fare better; none is lost
            return f"a defect of the gateway: {type(error).__name__}"
        if response.body is None:
            response.close()
        return "" if 200 <= response.status < 300 else f"status {response.status}"

    def _read(self) -> set[str]:
        with suppress(OSError, msgspec.MsgspecError):
            kept = msgspec.json.decode(self._path.read_bytes(), type=set[str])
            return {id_ for id_ in kept if len(id_.split()) == PARTS}
        return set()

    def _write(self, kept: list[str]) -> None:
        new = self._path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_bytes(_json(kept))
        new.replace(self._path)


def _over(now_ms: int) -> str:
    """Windows that ended before this are forgotten."""
    return instant((now_ms - FORGOTTEN_MS) // MINUTE_MS)
