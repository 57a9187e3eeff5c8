"""The usual scene: one gateway before two providers, `a` (Chat) and `claude` (Anthropic).

    async with scene(tmp_path, lambda dialect: [fails(dialect, 500)]) as at:
        for face, name in CROSSINGS:
            reply = await at.gate.chat(f"{name}/m", face)

Both play what the function gives for their dialect, so a fault is met on all four crossings
of the two faces and the two dialects. Targets `m1`, `m2`, ... have breakers of their own.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.server.check import FACES
from tests.server.gate import QUICK, Gate, file
from tests.upstream_server import Entry, Play, Upstream

CROSSINGS = [(face, name) for face in FACES for name in ("a", "claude")]


@dataclass
class Scene:
    gate: Gate
    a: Upstream
    claude: Upstream

    def of(self, name: str) -> Upstream:
        return self.a if name == "a" else self.claude

    @property
    def book(self) -> list[Entry]:
        return [*self.a.book, *self.claude.book]


@contextlib.asynccontextmanager
async def scene(
    folder: Path,
    plays: Callable[[str], Sequence[Play]],
    more: str = "",
    *,
    each: str = QUICK,
    server: str = "",
    early: bool = False,
) -> AsyncIterator[Scene]:
    a, claude = (Upstream(*plays(dialect), early=early) for dialect in ("openai-chat", "anthropic"))
    async with a, claude:
        text = file(more, server, each=each, a=a, claude=claude)
        async with Gate(folder, text) as gate:
            yield Scene(gate, a, claude)
