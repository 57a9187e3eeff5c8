"""The words of agents: what an arm offers, what it is told to do, and what comes of it.

    offer = Offer("executor.python", "Run Python.", schema, needs=("run:python",))
    outcome = await arm(Order("task-1", "s2", "executor.python", {"code": "..."}), world)

An arm is whatever carries out steps; a step names it as ARM.ACTION, like "retriever.search" or
"mcp.github.create_issue". All values are JSON, so that a journal can keep them.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from octoplex.wire.ask import Tab, Worst
from octoplex.wire.event import Reply

Effect = Literal["none", "repeatable", "once"]
"""What doing it leaves: nothing; a change that doing it again does not make twice; a change that
must never be made twice, so that a step which was cut off is not simply run again."""
FailureKind = Literal[
    "refused", "failed", "timeout", "budget", "denied", "cancelled", "interrupted", "loop"
]
"""`refused` by policy or capability; `failed` by itself; `denied` by a person; `interrupted`: it
had begun when its process died, and may have happened."""


class Offer(Struct, frozen=True):
    """One action of an arm, as planners read it.

    `needs` are capabilities, as `[agents.NAME] allow` writes them: "read:workspace",
    "write:workspace", "run:python", "net:HOST", "mcp:SERVER.TOOL", "memory:read", "memory:write".
    A template like "net:{host}" stands for the input of that name.
    """

    name: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] = {}
    effect: Effect = "none"
    needs: tuple[str, ...] = ()
    parallel: int = 8
    """How many may run at once in one task."""
    timeout_s: float = 60.0
    cost_tier: int = 1
    """1..5, from nothing to a strong model at length."""
    brings_untrusted: bool = False
    """Whether its output holds text of strangers: web pages, tools of others, mail."""


class Order(Struct, frozen=True):
    """One step, as its arm is told to do it. `inputs` are values: no references are left."""

    task_id: str
    step_id: str
    action: str
    inputs: dict[str, Any] = {}
    attempt: int = 1
    grant: str = ""
    """The capability token that was minted for this step; "" where the arm is used by itself."""
    model: str = ""
    """The route of the worker role."""
    nanos: int = 0
    """The most it may spend, in nano-dollars; 0: nothing, so no priced model may be asked."""
    seconds: float = 60.0
    is_tainted: bool = False
    """Whether text of strangers has entered the task."""
    seen: dict[str, str] = {}
    """Digests of what lay at paths of its inputs, as a person saw it who allowed the step."""

    @property
    def key(self) -> str:
        """The idempotency key: the same for every attempt at this step."""
        return f"{self.task_id}/{self.step_id}"


class Artifact(Struct, frozen=True):
    """A file that a step left in the workspace."""

    path: str
    """Below the workspace."""
    size: int
    sha256: str


class Evidence(Struct, frozen=True):
    """Something that happened and that a criterion may be checked against."""

    kind: str
    """"exit", "tests", "source", "file", ..."""
    name: str
    value: Any = None


class Outcome(Struct, frozen=True):
    """What came of an order. `output` is JSON, valid against the offer's output schema."""

    output: Any = None
    text: str = ""
    """For people and for the answer; may be shortened."""
    artifacts: tuple[Artifact, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    nanos: int = 0
    """What it cost, in nano-dollars."""
    tokens: int = 0
    is_untrusted: bool = False
    failure: FailureKind | None = None
    why: str = ""
    """Of a failure: what was wrong, with which value, and what to do."""


class Failed(Exception):
    """A step that did not do what it was told; becomes an `Outcome` with this failure."""

    def __init__(self, failure: FailureKind, why: str) -> None:
        super().__init__(why)
        self.failure = failure


Ask = Callable[[str, bytes], Awaitable[tuple[Reply, int]]]
"""(route or provider/model, the body of an openai-chat request without `model`) -> the reply, and
its nano-dollars. Raises `GatewayError`. Goes through the gateway as the task's caller."""


class Quote(Struct, frozen=True):
    """The most that a call to a model takes, before it is made. `worst` has a limit of output
    where the call, or who makes it, sets one; `price` is in nano-dollars."""

    worst: Worst
    price: Callable[[Worst], int]

    def nanos_of(self, output_tokens: int) -> int:
        """What it costs at most with this limit."""
        return self.price(replace(self.worst, output_tokens=output_tokens))

    @property
    def nanos(self) -> int:
        """What it costs at most."""
        return self.price(self.worst)

    @property
    def tokens(self) -> int:
        """All that it may read and write."""
        return self.worst.input_tokens + (self.worst.output_tokens or 0) * self.worst.n


class Models(Protocol):
    """The gateway's models, as a task asks them."""

    def quote(self, model: str, body: bytes) -> Quote:
        """What a call takes at most. Raises `GatewayError`."""
        ...

    def __call__(
        self, model: str, body: bytes, tab: Tab | None = None, /
    ) -> Awaitable[tuple[Reply, int]]:
        """As `Ask`; each attempt that is made for it is put on the tab."""
        ...


Screen = Callable[[str, Literal["in", "out"]], Awaitable[str]]
"""The guardian: text that enters or leaves a task, as it may; raises `Blocked`."""
Tell = Callable[[dict[str, Any]], Awaitable[None]]
"""Progress inside a step, for people: {"text": "...", ...}."""


class Recall(Protocol):
    """The memory of one tenant, as arms use it (`agents/memory/`)."""

    async def find(
        self, query: str, *, limit: int = 10, notes_of: str = ""
    ) -> Sequence[dict[str, Any]]:
        """Facts nearest to a query, best first: id, text, source, score, is_untrusted, ..."""
        ...

    async def keep(
        self,
        text: str,
        *,
        source: str,
        notes_of: str = "",
        days: float | None = None,
        step: str = "",
        is_untrusted: bool = True,
    ) -> str:
        """Keep a fact with where it came from; its id. What the guard refuses is not kept.

        `is_untrusted`: it holds text of strangers, as it is taken to where nobody says otherwise.
        """
        ...


class World(Struct, frozen=True, kw_only=True):
    """What an arm may use. Whatever is None is not there, and the arm says so."""

    ask: Ask
    workspace: Path
    """Readable and writable by the sandbox; nothing else is."""
    allow: tuple[str, ...] = ()
    """Capabilities of the agent; the step's own are in its grant."""
    screen: Screen | None = None
    memory: Recall | None = None
    tell: Tell | None = None
    tools: tuple[str, ...] = ()
    """Folders of programs that the sandbox shows read-only."""
    approved: frozenset[str] = frozenset()
    """Steps that a person has allowed."""


class Arm(Protocol):
    """Carries out steps."""

    @property
    def offers(self) -> Sequence[Offer]:
        """What it can do."""
        ...

    async def __call__(self, order: Order, world: World) -> Outcome:
        """Do it. Raises `Failed`; cancelling it ends all that it began."""
        ...
