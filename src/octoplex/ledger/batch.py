"""Files and batches as they are kept, and what the results of a batch say.

Times are seconds of the Unix clock, as the vendors' APIs say them.
"""

from collections import Counter
from pathlib import Path
from secrets import token_hex
from typing import Literal

import msgspec
from msgspec import Raw, Struct

Status = Literal[
    "validating",
    "in_progress",
    "finalizing",
    "completed",
    "failed",
    "expired",
    "cancelling",
    "cancelled",
]
"""OpenAI's words; `message_batches.py` says Anthropic's."""
OVER: frozenset[Status] = frozenset({"completed", "failed", "expired", "cancelled"})
Part = Literal["in", "out", "err", "got"]
"""What is asked, the two kinds of results, and what a provider's results are read from."""
PARTS: tuple[Part, ...] = ("in", "out", "err", "got")
RESULTS: tuple[Part, Part] = ("out", "err")
Count = Literal["completed", "failed", "canceled", "expired"]


class File(Struct, frozen=True):
    """A file of a caller."""

    id: str
    key_id: str
    created_at: int
    expires_at: int
    bytes: int
    filename: str
    purpose: str


class Complaint(Struct, frozen=True):
    """What is wrong with a line of a batch (counted from 1), or with all of it."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class Remote(Struct):
    """Where a batch is that its provider runs. `id` is "" until the provider said it.

    `lane` is the label of the key it was made with; `held_nano` what may still be billed, and
    `tenant` whose it was when it was set aside.
    """

    route: str
    provider: str
    model: str
    lane: str
    held_nano: int = 0
    asked: bool = False
    """Its creation may have reached the provider."""
    ending: bool = False
    """The provider was told to cancel it."""
    settling: bool = False
    """Its results were begun with: the ledger may know some that are not written down."""
    id: str = ""
    tenant: str = ""


class Batch(Struct, kw_only=True):
    """Requests that are answered when there is time. `face` is the dialect of its lines.

    `input_file` is its caller's; `output_file` and `error_file` are the ids that its results
    get, "" where they have none. `headers` are those that travel with every line. `at` says
    when it came to each status. `counts` are the lines that have ended.
    """

    id: str
    key_id: str
    key_name: str = ""
    face: str
    endpoint: str
    created_at: int
    expires_at: int
    status: Status = "validating"
    input_file: str = ""
    output_file: str = ""
    error_file: str = ""
    metadata: Raw = Raw(b"null")
    headers: dict[str, str] = {}
    at: dict[Status, int] = {}
    total: int = 0
    counts: dict[Count, int] = {}
    errors: list[Complaint] = []
    keep_s: int = 0
    """How long its files are kept."""
    remote: Remote | None = None
    asked: bytes = b""
    """A hash of what was asked, of one that was made under an idempotency key."""

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self.status in OVER

    def turn(self, status: Status, now: float) -> None:
        """Come to a status."""
        self.status = status
        self.at[status] = int(now)

    def count(self, what: Count) -> None:
        """One more line has ended."""
        self.counts[what] = self.counts.get(what, 0) + 1


class Span(Struct, frozen=True, kw_only=True):
    """Which rows: at most `limit`, after or before the one of an id, in the order shown."""

    limit: int
    after: str = ""
    before: str = ""
    newest_first: bool = True


class _Kind(Struct):
    type: str


class _Result(Struct):
    """What is read of a line of results; `result` is Anthropic's."""

    custom_id: str
    result: _Kind | None = None


_result = msgspec.json.Decoder(_Result).decode
ENDS: dict[str, Count] = {
    "succeeded": "completed",
    "errored": "failed",
    "canceled": "canceled",
    "expired": "expired",
}


class Results(Struct):
    """What stands in a batch's files of results. `sizes` are those of their whole lines."""

    done: set[str] = set()
    counts: dict[Count, int] = {}
    sizes: dict[Part, int] = {}


def results(folder: Path, batch: Batch) -> Results:
    """Read the results of a batch, also while they are written."""
    found, counts = Results(), Counter[Count]()
    for part in RESULTS:
        path = folder / f"{batch.id}.{part}"
        if not path.exists():
            continue
        found.sizes[part] = 0
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                found.sizes[part] += len(line)
                result = _result(line)
                found.done.add(result.custom_id)
                counts[_ended(result, part)] += 1
    found.counts = dict(counts)
    return found


def _ended(result: _Result, part: Part) -> Count:
    """What a line of results is counted as."""
    if result.result is not None:
        return ENDS.get(result.result.type, "failed")
    return "completed" if part == "out" else "failed"


def new_id(kind: str, name: bytes | None = None) -> str:
    """An id that nobody guesses: 160 bits. `name` stands for an idempotency key."""
    return f"{kind}{token_hex(20) if name is None else name[:20].hex()}"
