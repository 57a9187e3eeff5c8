"""Hands a batch to the provider of its model, where that has batches and they cost less.

    offer -> (money set aside) -> upload, create -> look, again and again -> results, settled

A batch is handed over when every line leads to one target whose provider takes batches in
the batch's own dialect, and nothing would be lost by it: no limits on its key's rates, no
fallback, no defaults, a price where there is a budget. Whatever a provider refuses is run
here instead. What all lines may cost is set aside before, and again at every start, until
each line is settled at what the provider reports, at the price of batches. A batch whose key is
revoked is cancelled there, and what was answered by then is settled.

Lines are settled first, then written down, in small groups; after a kill the ledger is
asked which it knows. So none is paid twice and none is lost.

Not promised: that an Anthropic batch is made once if a kill comes between its creation and
the reply, since its provider keeps no name of ours.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from octoplex.assembly.batching import DIALECT, Posting
from octoplex.dialects.members import UNREADABLE, model_of
from octoplex.dialects.verbatim import split
from octoplex.gateway import Gateway
from octoplex.jobs.bill import (
    CHATS,
    Part,
    charge,
    order_of,
    part_of,
    record_of,
    request_id,
    usage_of,
)
from octoplex.jobs.lines import Asked, Sheet
from octoplex.jobs.vendors import Result, Send, Stand, Vendor, vendor_of
from octoplex.ledger.archive import Archive
from octoplex.ledger.batch import Batch, Complaint, Remote
from octoplex.ledger.book import Aside
from octoplex.upstreams.passing import NO_MODEL
from octoplex.wire.ask import Caller, Passed
from octoplex.wire.error import GatewayError, StoreFailed, UpstreamError, UpstreamRejected

log = logging.getLogger("octoplex.jobs")
MOST_BYTES = 100_000_000
"""A larger input is run here: it would be whole in memory."""
ENDPOINTS = CHATS | {"/v1/embeddings"}
"""Not Responses: what they refer to by id is kept here."""
CHANGED = ("models", "stream", "service_tier")
"""Members that mean something to us, so that their lines are asked here."""
FIRST_LOOK_S, LONGEST_LOOK_S, GIVE_UP_S = 1.0, 300.0, 86_400
TRIES = 5
MOST_NAMES = 16
GROUP = 64
REQUEST_S = 3_600.0
DISK_WAIT_S = 5.0
LONGEST_RESULT, GROUP_BYTES = 64_000_000, 1_000_000
REVOKED = Complaint(
    "key_revoked",
    "The key that made this batch was revoked, so it was cancelled at its provider; what was "
    "answered by then is in its results.",
)
Became = Literal["here", "ended", "expired", "stopped"]


class _Id(Struct):
    id: str


_id = msgspec.json.Decoder(_Id).decode


class Forwarding:
    """What a runner asks for each of its batches. `gateway` is the one in force."""

    def __init__(self, archive: Archive, gateway: Callable[[], Gateway]) -> None:
        self._archive, self._gateway = archive, gateway
        self._asides: dict[str, Aside] = {}
        self._turns = defaultdict[str, asyncio.Lock](asyncio.Lock)
        """By provider: a batch is in memory while it is sent, and while it is settled."""

    # -- before -----------------------------------------------------------------------------

    def resume(self) -> None:
        """Set aside after a start what was set aside before it: before anybody else is granted
        anything."""
        ids = [batch.id for batch in self._archive.open.values() if batch.remote is not None]
        works, laid = self._gateway().works, self._archive.laid()
        held = {key.id for key in works.keyring}
        for one in laid:
            if one.tenant and one.key_id not in held:  # what it was made for binds its tenant still
                works.book.limit(one.key_id, (), one.tenant)
        self._asides = dict(zip(ids, works.book.resume(laid), strict=True))
        # Whoever watches the archive asks for `end_revoked`.
        works.on_gone.append(lambda gone: self._archive.changed.set())

    async def offer(self, batch: Batch, sheet: Sheet) -> None:
        """Decide whether a batch is handed over; then its `remote` says where."""
        if batch.endpoint not in ENDPOINTS:
            return
        path = self._archive.part(batch, "in")
        if (await self._archive.do(path.stat)).st_size > MOST_BYTES:
            return
        try:
            models = await asyncio.to_thread(self._models, batch, sheet)
            posting = self._posting(batch, models)
            if posting is None:
                return
            nano = await asyncio.to_thread(self._most, batch, sheet, posting)
        except GatewayError:  # the line itself will be told
            return
        if nano is None:
            return
        book, at_ms = self._gateway().works.book, batch.created_at * 1000
        with suppress(StoreFailed):
            await book.make_room(batch.key_id, nano, at_ms)
        aside = book.set_aside(batch.key_id, nano, at_ms)
        if aside is None:  # line by line more of them may fit
            return
        self._asides[batch.id] = aside
        lane = next(iter(posting.lanes))
        batch.remote = Remote(
            posting.route, posting.provider, posting.model, lane, nano, tenant=aside.tenant
        )

    def _models(self, batch: Batch, sheet: Sheet) -> set[str]:
        """The models that a batch names; none where a line asks for what happens here."""
        names = set[str]()
        for asked in self._lines(batch, sheet):
            fields = split(bytes(asked.body))
            names.add(model_of(fields, ""))
            if len(names) > MOST_NAMES or any(name in fields for name in CHANGED):
                return set()
        return names

    def _posting(self, batch: Batch, models: set[str]) -> Posting | None:
        """Where all models lead, if that is one place and the key may go there."""
        gateway = self._gateway()
        key = gateway.key_of(Caller(batch.key_id)) if batch.key_id else None
        if key is None and (batch.key_id or gateway.needs_key):
            return None
        if key is not None and (key.rated or not all(map(key.allows, models))):
            return None
        area = key.caller.region if key else ""
        found = [gateway.plan.posting(model, area) for model in models]
        first = found[0] if found else None
        if first is None or not first.lanes or DIALECT[first.style] != batch.face:
            return None
        same = all(p and (p.provider, p.model) == (first.provider, first.model) for p in found)
        return first if same else None

    def _most(self, batch: Batch, sheet: Sheet, posting: Posting) -> int | None:
        """What all lines may cost; None where a budget would not bound it."""
        gateway = self._gateway()
        key = gateway.key_of(Caller(batch.key_id)) if batch.key_id else None
        budgeted = key is not None and key.caller.budgeted
        if budgeted and posting.price() is None:
            return None
        nano = 0
        for asked in self._lines(batch, sheet):
            part = part_of(gateway, batch, asked, posting)
            nano += part.nano
            if budgeted and part.worst.output_tokens is None and posting.output_cap is None:
                return None
        return nano

    def _lines(self, batch: Batch, sheet: Sheet) -> Iterator[Asked]:
        with self._archive.part(batch, "in").open("rb") as file:
            for line in file:
                if line.strip():
                    yield sheet.read(line)

    # -- while it is there ------------------------------------------------------------------

    async def follow(self, batch: Batch, sheet: Sheet, halt: asyncio.Event) -> Became:
        """See a batch to its end at the provider. "here": it is to be run here.

        Raises:
            StoreFailed: the disk; to be called again.
        """
        tries, look_s = 0, FIRST_LOOK_S
        while self._archive.now() < batch.expires_at + GIVE_UP_S:
            try:
                became, tries = await self._look(batch, sheet, tries), 0
            except StoreFailed:
                raise
            except (GatewayError, *UNREADABLE) as error:
                tries += 1
                became = await self._failed(batch, error, tries)
            if became is not None:
                return became
            with suppress(TimeoutError):
                async with asyncio.timeout(look_s):
                    await (asyncio.Event() if halt.is_set() else halt).wait()
                    look_s = FIRST_LOOK_S
            if halt.is_set() and batch.status != "cancelling":
                return "stopped"
            look_s = min(look_s * 1.5, LONGEST_LOOK_S)
        log.error("batch %s: its provider does not say what became of it", batch.id)
        return "expired"

    async def end_revoked(self) -> None:
        """Cancel what providers run for keys that were revoked, or have left the file.

        Raises:
            StoreFailed: who was cannot be known now, or not be written down.
        """
        works, archive = self._gateway().works, self._archive
        held = {"", *(key.id for key in works.keyring)}
        found = [b for b in archive.open.values() if b.remote is not None and b.key_id not in held]
        lost = [batch for batch in found if batch.status == "in_progress"]
        if not lost or works.store.condition().away:
            return
        # One whose tenant has left the file is only refused until that is put right.
        kept = {row.id for row in await works.store.keys() if row.revoked_at_ms is None}
        for batch in lost:
            if batch.key_id not in kept and batch.status == "in_progress":
                log.warning("batch %s is cancelled: its key was revoked", batch.id)
                batch.errors = [*batch.errors, REVOKED]
                batch.turn("cancelling", archive.now())
                await archive.do(archive.save, batch)

    async def _look(self, batch: Batch, sheet: Sheet, tries: int) -> Became | None:
        """Do what is to be done now, which has failed so often; None: it is not over."""
        remote, cancelling = batch.remote, batch.status == "cancelling"
        assert remote is not None
        if cancelling and not remote.asked:
            return await self._take_back(batch)
        posting, vendor = self._way(remote)
        if not remote.id:
            async with self._turns[remote.provider]:
                await self._create(batch, sheet, posting, vendor, tries)
        if cancelling and not remote.ending:
            await self._end(batch, posting, remote, vendor)
        stand = vendor.stand(await self._send(posting, remote, vendor.look(remote.id)))
        if stand.refused:
            log.warning("batch %s is refused, so it runs here: %s", batch.id, stand.refused)
            return await self._take_back(batch)
        if stand.running:
            batch.counts = {what: n for what, n in stand.counts.items() if n}
            return None
        async with self._turns[remote.provider]:
            await self._gather(batch, sheet, posting, vendor, stand)
        if stand.complete and not cancelling:
            lost = batch.total - len(await self._archive.do(self._archive.recover, batch))
            if lost:
                log.warning("batch %s: %d lines have no result; they run here", batch.id, lost)
                return await self._take_back(batch)
        return "expired" if stand.expired else "ended"

    async def _end(self, batch: Batch, posting: Posting, remote: Remote, vendor: Vendor) -> None:
        """Tell the provider to cancel it: again at the next look, where it could not be told."""
        try:
            await self._send(posting, remote, vendor.cancel(remote.id))
        except UpstreamRejected:
            pass  # it has ended
        except UpstreamError as error:
            log.warning("batch %s is not cancelled yet: %s", batch.id, error)
            return
        remote.ending = True

    async def _failed(self, batch: Batch, error: Exception, tries: int) -> Became | None:
        """Something went wrong; where the provider has nothing yet, it may be run here."""
        assert batch.remote is not None
        # Once asked, it may be there: only a list without it allows to run it here.
        hopeless = tries >= TRIES and not batch.remote.asked
        if batch.remote.id or not (hopeless or isinstance(error, UpstreamRejected)):
            log.warning("batch %s at %s: %s", batch.id, batch.remote.provider, error)
            return None
        log.warning("batch %s is refused, so it runs here: %s", batch.id, error)
        return await self._take_back(batch)

    def done(self, batch: Batch) -> None:
        """A batch is over: nothing is set aside for it any more."""
        aside = self._asides.pop(batch.id, None)
        if aside is not None:
            aside.give_back()

    async def _take_back(self, batch: Batch) -> Became:
        self.done(batch)
        batch.remote, batch.counts = None, {}
        await self._archive.do(self._archive.save, batch)
        return "here"

    def _way(self, remote: Remote) -> tuple[Posting, Vendor]:
        """How the provider is reached now."""
        posting = self._gateway().plan.post_to(remote.route, remote.provider, remote.model)
        if posting is None or remote.lane not in posting.lanes:
            raise UpstreamError(
                f"the configuration has no {remote.provider} with the key that the batch was "
                "made with; put it back"
            )
        return posting, vendor_of(posting.style, posting.prefix)

    async def _create(
        self, batch: Batch, sheet: Sheet, posting: Posting, vendor: Vendor, tries: int
    ) -> None:
        remote, archive = batch.remote, self._archive
        assert remote is not None
        if remote.asked:  # a kill may have come after it was made
            listed = await self._send(posting, remote, vendor.mine())
            remote.id = vendor.made(listed, batch.id)
            if not remote.id and (tries >= TRIES or batch.status == "cancelling"):
                raise UpstreamRejected("it is not there")
        if not remote.id:
            remote.asked = True
            await archive.do(archive.save, batch)
            lines = await asyncio.to_thread(self._written, batch, sheet, posting, vendor)
            upload, file = vendor.upload(lines), ""
            if upload is not None:
                file = _id(await self._send(posting, remote, upload)).id
            create = vendor.create(lines, file, batch.id, batch.endpoint, batch.headers)
            remote.id = _id(await self._send(posting, remote, create)).id
        await archive.do(archive.save, batch)

    def _written(self, batch: Batch, sheet: Sheet, posting: Posting, vendor: Vendor) -> bytes:
        model = Raw(msgspec.json.encode(posting.model))
        lines = []
        for asked in self._lines(batch, sheet):
            fields = split(bytes(asked.body))
            fields["model"] = model
            lines.append(vendor.line(asked, fields, batch.endpoint))
        return b"".join(lines)

    async def _send(self, posting: Posting, remote: Remote, send: Send) -> bytes:
        """One request to the provider with the key that the batch belongs to; its reply's body.

        Raises:
            UpstreamError: no reply, or a refusal (UpstreamRejected).
        """
        chunks: list[bytes] = []

        async def take(data: bytes) -> None:
            chunks.append(data)

        await self._fetch(posting, remote, send, take)
        return b"".join(chunks)

    async def _fetch(self, posting: Posting, remote: Remote, send: Send, take: Any) -> None:
        now = asyncio.get_running_loop().time()
        ask = Passed(
            id="batch",
            face=DIALECT[posting.style],
            model=NO_MODEL,
            raw=send.body,
            deadline_at=now + REQUEST_S,
            started_at=now,
            op="pass",
            method=send.method,
            path=send.path,
            sent=tuple(send.headers.items()),
            in_pieces=send.in_pieces,
        )
        answer = await posting.lanes[remote.lane](ask)
        try:
            status = answer.head.status
            if status >= 300:
                said = answer.body if answer.body is not None else b""
                later = status >= 500 or status in (408, 409, 429)
                kind = UpstreamError if later else UpstreamRejected
                raise kind(f"{status}: {said[:300].decode(errors='replace')}")
            if answer.body is not None:
                await take(answer.body)
            else:
                async for frame in answer:
                    await take(frame.wire or b"")
        finally:
            answer.close()

    # -- after ------------------------------------------------------------------------------

    async def _gather(
        self, batch: Batch, sheet: Sheet, posting: Posting, vendor: Vendor, stand: Stand
    ) -> None:
        """Get the results, settle each line and give it out under our ids."""
        archive, remote = self._archive, batch.remote
        assert remote is not None
        done = await archive.do(archive.recover, batch)
        parts = await asyncio.to_thread(self._parts, batch, sheet, posting, done)
        path, again = archive.part(batch, "got"), remote.settling
        remote.settling = True
        await archive.do(archive.save, batch)
        for result_path in stand.results:
            with await archive.do(path.open, "wb") as file:

                async def take(data: bytes, file: Any = file) -> None:
                    await archive.do(archive.fetched, file, data)

                await self._fetch(posting, remote, Send("GET", result_path, in_pieces=True), take)
            with await archive.do(path.open, "rb") as got:
                while group := await archive.do(_some, got, vendor):
                    ours = [(r, parts.pop(r.custom_id)) for r in group if r.custom_id in parts]
                    await self._settle(batch, posting, ours, again)
        batch.counts = {}

    def _parts(
        self, batch: Batch, sheet: Sheet, posting: Posting, done: set[str]
    ) -> dict[str, Part]:
        gateway = self._gateway()
        rest = (asked for asked in self._lines(batch, sheet) if asked.custom_id not in done)
        return {asked.custom_id: part_of(gateway, batch, asked, posting) for asked in rest}

    async def _settle(
        self, batch: Batch, posting: Posting, group: list[tuple[Result, Part]], again: bool
    ) -> None:
        """Settle some lines, then write them down. `again`: some may have been settled before."""
        gateway, archive, aside = self._gateway(), self._archive, self._asides[batch.id]
        works = gateway.works
        records = []
        for result, part in group:
            order = order_of(batch, posting, part)
            usage = usage_of(gateway, batch, result, part)
            reader, id_ = works.store.reader, order.request_id
            rows = await asyncio.to_thread(reader.attempts, id_) if again else []
            if rows:
                nano = int(rows[0]["nano"])
                aside.give_back(order.nano)
                if await asyncio.to_thread(reader.request, id_) is not None:
                    continue  # it was settled, and recorded, before its result was lost
            else:
                nano = charge(aside, order, posting.price(), usage)
            records.append(record_of(batch, order, result, usage, nano))
        while not await works.store.drain():  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(DISK_WAIT_S)
        for result, part in group:
            line = result.line(request_id(batch, part.asked))
            await archive.put_down(batch, line.part, line.data)
        assert batch.remote is not None
        batch.remote.held_nano = aside.nano
        await archive.do(archive.save, batch)
        for record in records:
            works.store.record(record)
            works.metrics.count(record)


def _some(file: Any, vendor: Vendor) -> list[Result]:
    """The next results; none at the end."""
    found: list[Result] = []
    size = 0
    while len(found) < GROUP and size < GROUP_BYTES and (line := file.readline(LONGEST_RESULT)):
        if line.strip():
            with suppress(*UNREADABLE):
                found.append(vendor.result(line))
    return found
