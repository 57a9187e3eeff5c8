"""A server as a process of this machine, which speaks one message a line.

    wire = Piped(Bare(("github-mcp-server", "stdio"), {"GITHUB_TOKEN": "..."}), veil)

Its environment holds what the file names and nothing else. What it writes to stderr is kept, the
end of it, and shown when it dies. It is ended as a tree: its process group, or all of its sandbox.
A line that is too long ends it, for it would be the memory of whoever reads it.

Not promised: that a bare process which left its group ends; in the sandbox it does.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from octoplex.agents.mcp.messages import MOST_BYTES, Lost, Message, decode
from octoplex.agents.mcp.signs import written_out
from octoplex.agents.mcp.wire import NOTHING, Hear
from octoplex.dialects.members import UNREADABLE
from octoplex.sandbox.egress import Egress
from octoplex.sandbox.limits import Limits
from octoplex.sandbox.sandbox import Sandbox
from octoplex.wire.error import GatewayError
from octoplex.wire.redact import Veil, redact

Feed = Callable[[int, bytes], None]
"""Takes a piece of its output: 1 is stdout, 2 stderr. Called in the event loop."""
Ended = Callable[[str], None]
_STDERR = 4_000
_UNSENT = 2 * MOST_BYTES
_STRANGE_LINES = 1_000
_LEAVE_S, _LAST_WORDS_S = 2.0, 0.2


class Process(ABC):
    """Something that runs and has a stdin."""

    _stdin: asyncio.WriteTransport | None = None

    @abstractmethod
    async def begin(self, feed: Feed, ended: Ended) -> None:
        """Start it. Raises `Lost`."""

    @abstractmethod
    async def end(self, leave_s: float) -> None:
        """End it and all that it started; it may leave by itself for so long."""

    def write(self, data: bytes) -> bool:
        """Hand it bytes; False where too many wait for it already."""
        if self._stdin is None or self._stdin.is_closing():
            return True  # whoever waits is told by `ended`
        self._stdin.write(data)
        return self._stdin.get_write_buffer_size() <= _UNSENT

    async def _hold(self, pipe: Any) -> None:
        """Have this pipe as its stdin."""
        loop = asyncio.get_running_loop()
        self._stdin, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, pipe)

    def _abort(self) -> None:
        """Close the pipe, whatever waits in it. One whose reader is gone has closed itself."""
        if self._stdin is not None and not self._stdin.is_closing():
            self._stdin.abort()


class Bare(Process):
    """A process without walls, in a group of its own, which ends with it.

    It is waited for without being reaped, so that its group's number is nobody else's when the
    group is ended; asyncio's own processes end only when every child has closed their output.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self._argv, self._env = argv, dict(env)
        self._process: subprocess.Popen[bytes] | None = None
        self._heard: list[_Output] = []
        self._over = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None

    async def begin(self, feed: Feed, ended: Ended) -> None:
        """Start it."""
        loop = asyncio.get_running_loop()
        try:
            process = await asyncio.to_thread(self._started)
        except OSError as error:
            why = f"{self._argv[0]} cannot be started: {error.strerror}"
            raise Lost(why, reached=False) from None
        self._process = process
        await self._hold(process.stdin)
        for stream, end in ((1, process.stdout), (2, process.stderr)):
            _, output = await loop.connect_read_pipe(partial(_Output, stream, feed), end)
            self._heard.append(output)

        def wait() -> None:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
                loop.call_soon_threadsafe(self._exited, ended)

        threading.Thread(target=wait, name="octoplex-mcp", daemon=True).start()

    def _started(self) -> "subprocess.Popen[bytes]":
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self._argv,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            bufsize=0,
            env=self._env,
            start_new_session=True,
        )

    def _exited(self, ended: Ended) -> None:
        self._ending = asyncio.get_running_loop().create_task(self._end(ended))

    async def _end(self, ended: Ended) -> None:
        """It is dead, and so are its children; what they had written is heard before it is told."""
        assert self._process is not None
        self._kill()
        status = self._process.wait()
        self._over.set()
        closed = [output.closed for output in self._heard]
        await asyncio.wait(closed, timeout=_LAST_WORDS_S)  # who left the group may hold them open
        for output in self._heard:
            output.close()
        self._abort()
        ended(f"it ended with {f'status {status}' if status >= 0 else f'signal {-status}'}")

    def _kill(self) -> None:
        """End the group. Only while the process is there, dead or alive, and not reaped."""
        assert self._process is not None
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def end(self, leave_s: float) -> None:
        """Close its stdin, give it a moment, then end its group."""
        if self._process is None:
            return
        if self._stdin is not None:
            self._stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(leave_s):
                await self._over.wait()
        self._kill()
        await self._over.wait()
        if self._ending is not None:
            await self._ending


class _Output(asyncio.Protocol):
    """One of its two outputs."""

    def __init__(self, stream: int, feed: Feed) -> None:
        self._stream, self._feed = stream, feed
        self._transport: asyncio.BaseTransport | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._feed(self._stream, data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def close(self) -> None:
        """Hear no more."""
        if self._transport is not None:
            self._transport.close()


class Boxed(Process):
    """A process in the sandbox. Its life is one run, so a limit ends it."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        workspace: Path | None,
        limits: Limits,
        make: Callable[..., Sandbox],
        egress: Egress | None,
    ) -> None:
        """`make` makes a sandbox with `stdin` and `tell`; the rest is what `run` takes."""
        self._argv, self._env, self._workspace = argv, env, workspace
        self._limits, self._make, self._egress = limits, make, egress
        self._task: asyncio.Task[None] | None = None

    async def begin(self, feed: Feed, ended: Ended) -> None:
        """Start it."""
        loop = asyncio.get_running_loop()
        read_fd, write_fd = os.pipe()

        def tell(stream: int, piece: bytes) -> None:
            loop.call_soon_threadsafe(feed, stream, piece)

        box = self._make(stdin=read_fd, tell=tell)
        await self._hold(os.fdopen(write_fd, "wb", buffering=0))
        self._task = asyncio.create_task(self._run(box, ended))
        self._task.add_done_callback(lambda _: os.close(read_fd))

    async def _run(self, box: Sandbox, ended: Ended) -> None:
        why = "it was ended"
        try:
            result = await box.run(
                self._argv,
                workspace=self._workspace,
                env=self._env,
                limits=self._limits,
                network=self._egress or (),
            )
            refused = f"; refused: {', '.join(result.refused)}" if result.refused else ""
            how = f"status {result.status}" if result.outcome == "exited" else result.outcome
            why = f"it ended with {how}{refused}"
        except GatewayError as error:
            why = str(error)
        finally:
            ended(why)

    async def end(self, leave_s: float) -> None:
        """End the run."""
        self._abort()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class Piped:
    """Messages over a process's pipes."""

    def __init__(self, process: Process, veil: Veil) -> None:
        """`veil` takes the secrets that the process was given out of what it says."""
        self.version = ""
        self._process, self._veil = process, veil
        self._waiting: dict[int | str, asyncio.Future[Message]] = {}
        self._held: list[bytes] = []
        self._size = 0
        self._stderr = b""
        self._strange = 0
        self._why = ""
        self._ending: asyncio.Task[None] | None = None
        self._hear: Hear = lambda message: None

    async def open(self, hear: Hear) -> None:
        """Start the process."""
        self._hear = hear
        await self._process.begin(self._feed, self._ended)

    async def ask(self, request: Message, mirrored: Mapping[str, str] = NOTHING) -> Message:
        """Send a request; the reply to it."""
        assert isinstance(request.id, int | str)
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[request.id] = reply
        try:
            await self.tell(request)
            return await reply
        finally:
            self._waiting.pop(request.id, None)

    async def tell(self, note: Message) -> None:
        """Send what is not answered."""
        if self._why:
            raise Lost(self._why, reached=False)
        if not self._process.write(note.bytes() + b"\n"):
            self._ended("it takes nothing of what is sent to it")

    async def close(self) -> None:
        """End the process."""
        self._ended("the connection was closed", _LEAVE_S)
        if self._ending is not None:
            await self._ending

    def _feed(self, stream: int, piece: bytes) -> None:
        if stream == 2:
            self._stderr = (self._stderr + piece)[-_STDERR:]
            return
        if self._why:
            return
        *lines, rest = piece.split(b"\n")
        for line in lines:
            self._line(b"".join((*self._held, line)))
            self._held, self._size = [], 0
        self._held.append(rest)
        self._size += len(rest)
        if self._size > MOST_BYTES:
            self._ended(f"it sent a message of more than {MOST_BYTES:,} bytes")

    def _line(self, line: bytes) -> None:
        """One line, if nothing has ended it before."""
        line = line.strip()
        if self._why or not line:
            return
        if len(line) > MOST_BYTES:
            self._ended(f"it sent a message of more than {MOST_BYTES:,} bytes")
            return
        try:
            message = decode(self._veil(line))
        except UNREADABLE:
            self._strange += 1  # some print what belongs on stderr
            if self._strange > _STRANGE_LINES:
                self._ended("it writes lines that are no messages")
            return
        self._heard(message)

    def _heard(self, message: Message) -> None:
        waits = self._waiting.get(message.id) if isinstance(message.id, int | str) else None
        if not message.is_reply:
            reply = self._hear(message)
            if reply is not None and not self._process.write(reply.bytes() + b"\n"):
                self._ended("it takes nothing of what is sent to it")
        elif waits is not None and not waits.done():
            waits.set_result(message)

    def _ended(self, why: str, leave_s: float = 0.0) -> None:
        """The first cause counts, and ends the process; whoever waits is told it, with its stderr.

        One that writes without end must not go on until somebody asks it again.
        """
        if self._why:
            return
        self._ending = asyncio.get_running_loop().create_task(self._process.end(leave_s))
        said = written_out(redact(self._veil(self._stderr).decode(errors="replace"))).strip()
        self._why = f"{why}; stderr: {said}" if said else why
        self._held = []
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(Lost(self._why))
