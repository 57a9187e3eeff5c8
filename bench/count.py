"""What one request executes: bytecodes and calls, function by function, the same in every run.

    python -m bench.count                            a small chat
    python -m bench.count --workload big --top 60
    python -m bench.count --against OLD_SRC          where another tree executed more, or less
    python -m bench.count --instructions             in all, as valgrind counts them

A whole server runs, all features on, between a caller and a provider on the loopback.
`sys.settrace` counts in the event loop's thread while a kept connection asks again and
again; what does not belong to a request (timers) falls below one half of a call per request
and is summed up as the rest. A busy machine changes nothing. Not counted: the ledger's thread,
the kernel, and in the table what C does by itself (llhttp, msgspec, formatting).

A bytecode taken away is about 65 instructions, a call of a Python function 300 more, from C
or of an object 700. Instructions vary by 1 or 2 % (timers); the table by nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from bench import configs
from bench.process import clean_environment
from bench.subjects import SECRET, UPSTREAM_KEY, bare_model, door
from bench.tools import ROOT, BenchError, run
from bench.workloads import PLAIN, Workload, body

WARM, ASKED = 600, 256
"""Requests before the count, and in it: figures are added up 256 at a time."""
COLUMNS = ("bytecodes", "entered", "C calls")
Counts = dict[str, list[float]]
WORDS = "The tide leaves a pool behind, and in the pool there is everything it needs. "


def reply(workload: Workload) -> bytes:
    """Return the provider's whole HTTP reply, in one piece."""
    usage = {"prompt_tokens": 120, "completion_tokens": 60, "total_tokens": 180}
    head = {"id": "chatcmpl-count", "created": 1_700_000_000, "model": bare_model(workload)}
    if not workload.stream:
        message = {"role": "assistant", "content": (WORDS * 6)[:330]}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        whole = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        return _framed("application/json", json.dumps(whole, separators=(",", ":")).encode())
    events = _anthropic(usage) if workload.upstream == "messages" else _openai(head, usage)
    return _framed("text/event-stream", b"".join(events))


def _openai(head: dict[str, Any], usage: dict[str, int]) -> list[bytes]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": (WORDS * 2)[:120]} for _ in range(50)]
    rows = [{"choices": [{"index": 0, "delta": d, "finish_reason": None}]} for d in deltas]
    rows += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
    rows += [{"choices": [], "usage": usage}]
    chunk = {**head, "object": "chat.completion.chunk"}
    events = [b"data: %b\n\n" % json.dumps({**chunk, **row}).encode() for row in rows]
    return [*events, b"data: [DONE]\n\n"]


def _anthropic(usage: dict[str, int]) -> list[bytes]:
    spent = {"input_tokens": usage["prompt_tokens"], "output_tokens": 1}
    message = {"id": "msg_count", "type": "message", "role": "assistant", "content": []}
    begun = {**message, "model": "claude-mock", "stop_reason": None, "usage": spent}
    text = {"type": "text_delta", "text": (WORDS * 2)[:120]}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    rows: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    block = {"type": "text", "text": ""}
    rows += [{"type": "content_block_start", "index": 0, "content_block": block}]
    rows += [{"type": "content_block_delta", "index": 0, "delta": text} for _ in range(50)]
    rows += [{"type": "content_block_stop", "index": 0}]
    rows += [{"type": "message_delta", "delta": end, "usage": {"output_tokens": 60}}]
    rows += [{"type": "message_stop"}]
    return [b"event: %b\ndata: %b\n\n" % (r["type"].encode(), json.dumps(r).encode()) for r in rows]


def _framed(kind: str, data: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n\r\n"
    return head.encode() + data


def provider(bound: socket.socket, said: bytes) -> None:
    """Answer every request of every connection with the same bytes, until the process ends."""
    while True:
        line, _ = bound.accept()
        threading.Thread(target=_answer, args=(line, said), daemon=True).start()


def _answer(line: socket.socket, said: bytes) -> None:
    with line:
        while _message(line):
            line.sendall(said)


def _message(line: socket.socket) -> bytes:
    """Read one HTTP message with a length or in chunks; b"" where there is none."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = line.recv(65536)
        if not more:
            return b""
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    _, named, after = head.lower().partition(b"content-length:")
    size = int(after.partition(b"\r\n")[0]) if named else -1
    while len(rest) < size if named else not rest.endswith(b"0\r\n\r\n"):
        rest += line.recv(65536)
    return head + rest


class Census:
    """Counts what the thread that starts it executes, by function."""

    def __init__(self) -> None:
        self.bytecodes: Counter[CodeType] = Counter()
        self.entered: Counter[CodeType] = Counter()
        self.calls: Counter[CodeType] = Counter()
        self.running = False

    def start(self) -> None:
        """Count from now on, in functions that are entered or gone on with from now on."""
        self.running = True
        sys.settrace(self._enter)
        sys.setprofile(self._called)

    def stop(self) -> None:
        """Count no more."""
        sys.settrace(None)
        sys.setprofile(None)
        self.running = False

    def _enter(self, frame: FrameType, event: str, _: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self.entered[frame.f_code] += 1
        return self._step

    def _step(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "opcode":
            self.bytecodes[frame.f_code] += 1
        return self._step

    def _called(self, frame: FrameType, event: str, _: object) -> None:
        if event == "c_call":
            self.calls[frame.f_code] += 1

    def per_request(self, asked: int) -> Counts:
        """What each function did for one request, and in the row `rest` what timers did."""
        rows: Counts = {}
        for code in self.bytecodes:
            found = self.bytecodes[code], self.entered[code], self.calls[code]
            name = _name(code) if self.entered[code] * 2 >= asked else "rest"
            seen = rows.setdefault(name, [0.0, 0.0, 0.0])
            rows[name] = [have + n / asked for have, n in zip(seen, found, strict=True)]
        return rows


def _name(code: CodeType) -> str:
    path = code.co_filename.rpartition("site-packages/")[2].rpartition("src/octoplex/")[2]
    return f"{path.removesuffix('.py')} {code.co_qualname}"


class Line:
    """One kept connection to the gateway, and the request that is asked over it."""

    def __init__(self, port: int, workload: Workload) -> None:
        model = "anth/claude-mock" if workload.upstream == "messages" else "mock/gpt-mock"
        said = body(workload, model)
        head = (
            f"POST {door(workload)} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
            f"authorization: Bearer {SECRET}\r\ncontent-type: application/json\r\n"
            f"user-agent: count\r\ncontent-length: {len(said)}\r\n\r\n"
        )
        self._request = head.encode() + said
        self._socket = socket.create_connection(("127.0.0.1", port))

    def ask(self, times: int) -> None:
        """Ask, one after the other."""
        for _ in range(times):
            self._socket.sendall(self._request)
            answer = _message(self._socket)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise BenchError(f"the gateway said {answer[:300]!r}")


def child(config: Path) -> None:
    """Serve, and count from one SIGUSR1 to the next; say each time that it was heard."""
    from octoplex.server.serve import Options, serve

    census = Census()

    def turn() -> None:
        print("stopped" if census.running else "started", flush=True)
        census.stop() if census.running else census.start()

    def ready(gateway: Any, place: Any) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, turn)
        print(place.port, flush=True)

    serve(Options(config=config, env=os.environ, port=0), ready)
    print(json.dumps(census.per_request(ASKED)), flush=True)


class Served:
    """A source tree that serves in a process of its own, between us and a provider here."""

    def __init__(self, tree: Path, workload: Workload, folder: Path, under: Sequence[str]) -> None:
        mock = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=provider, args=(mock, reply(workload)), daemon=True).start()
        origin = f"http://127.0.0.1:{mock.getsockname()[1]}"
        config = folder / "octoplex.toml"
        config.write_text(configs.octoplex(origin, origin, folder / "data"))
        extra = {"BENCH_KEY": SECRET, "BENCH_UPSTREAM_KEY": UPSTREAM_KEY}
        env = clean_environment(folder, {**extra, "PYTHONPATH": f"{tree}:{ROOT}"})
        argv = [*under, sys.executable, "-m", "bench.count", "--child", str(config)]
        self.process = subprocess.Popen(argv, env=env, cwd=folder, stdout=subprocess.PIPE)
        self.line = Line(int(self.heard()), workload)

    def heard(self) -> bytes:
        """Return the next line that it says."""
        assert self.process.stdout is not None
        return self.process.stdout.readline() or b"0"

    def turn(self) -> None:
        """Have it begin to count, or end."""
        self.process.send_signal(signal.SIGUSR1)
        self.heard()

    def end(self) -> bytes:
        """Stop it; return the last that it says."""
        self.process.terminate()
        said = self.heard()
        self.process.wait(60)
        return said


def counted(tree: Path, workload: Workload) -> Counts:
    """Count what a source tree executes."""
    with tempfile.TemporaryDirectory(prefix="count-") as folder:
        served = Served(tree, workload, Path(folder), ())
        served.line.ask(WARM)
        served.turn()
        served.line.ask(ASKED)
        served.turn()
        found: Counts = json.loads(served.end())
        return found


def instructions(tree: Path, workload: Workload) -> float:
    """Return the instructions for one request, from its bytes to what is to be written."""
    with tempfile.TemporaryDirectory(prefix="count-") as folder:
        out = Path(folder, "out")
        under = ("valgrind", "-q", "--tool=callgrind", "--instr-atstart=no")
        more = ("--separate-threads=yes", f"--callgrind-out-file={out}")
        served = Served(tree, workload, Path(folder), (*under, *more))

        def tell(*words: str) -> None:
            run(["callgrind_control", *words, str(served.process.pid)])

        served.line.ask(WARM)
        tell("-i", "on")
        served.line.ask(50)
        tell("-z")
        served.line.ask(4 * ASKED)
        tell("-d")
        served.end()
        argv = ["callgrind_annotate", "--inclusive=yes", "--threshold=100", "--auto=no"]
        text = subprocess.run([*argv, f"{out}.1-01"], capture_output=True, text=True, check=True)
        read = re.search(r"^ *([\d,]+) .*:uv__read ", text.stdout, re.MULTILINE)
        assert read is not None
        return int(read[1].replace(",", "")) / (4 * ASKED)


def show(new: Counts, old: Counts | None, top: int) -> None:
    """Print the functions that count most, or that changed most."""
    none = [0.0, 0.0, 0.0]
    names = {*new, *(old or ())}
    rows = [(n, new.get(n, none), (old or {}).get(n, none)) for n in names]
    rows = [row for row in rows if old is None or row[1] != row[2]]
    rows.sort(key=lambda row: -abs(row[1][0] - row[2][0]))
    total = [[sum(r[i] for r in side.values()) for i in range(3)] for side in (new, old or {})]
    print(f"{'':64}" + "".join(f"{c:>16}" for c in COLUMNS))
    for name, now, before in [("all", *total), *rows[:top]]:
        both = zip(now, before, strict=True)
        cells = [f"{b:.0f} > {n:.0f}" if old else f"{n:.1f}" for n, b in both]
        print(f"{name[-64:]:64}" + "".join(f"{cell:>16}" for cell in cells))


def main() -> None:
    """Count, print."""
    options = argparse.ArgumentParser(prog="python -m bench.count", description=__doc__)
    options.add_argument("--workload", default="small", choices=[w.name for w in PLAIN])
    options.add_argument("--against", type=Path, metavar="OLD_SRC")
    options.add_argument("--instructions", action="store_true", help="under valgrind, in all")
    options.add_argument("--top", type=int, default=50)
    options.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        child(chosen.child)
        return
    workload = next(w for w in PLAIN if w.name == chosen.workload)
    trees = [ROOT / "src", *([chosen.against.resolve()] if chosen.against else [])]
    if chosen.instructions:
        for tree in trees:
            print(f"{instructions(tree, workload):12,.0f} instructions  {tree}")
        return
    new, *old = (counted(tree, workload) for tree in trees)
    show(new, old[0] if old else None, chosen.top)


if __name__ == "__main__":
    main()
