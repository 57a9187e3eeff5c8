"""A server of tools by hand, over stdio: it also does what no library would.

    python -S toolbox.py FILE      FILE: {"tools": [...]}, read anew for each listing

What a tool does is its name up to the first `_`; every other name is an echo.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

FILE = Path(sys.argv[1])
NOTES: list[Any] = []


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": words}], **more}


def ask(method: str) -> Any:
    """What the client says to a request of ours."""
    say({"id": "mine", "method": method, "params": {}})
    return json.loads(sys.stdin.readline())


def huge(id_: int, arguments: dict[str, Any]) -> dict[str, Any]:
    sys.stdout.write('{"jsonrpc": "2.0", "id": 0, "result": {"content": "' + "x" * 100_000_000)
    sys.stdout.flush()
    return {}


def die(id_: int, arguments: dict[str, Any]) -> dict[str, Any]:
    sys.stderr.write("out of \x1b[31mcheese\n")
    sys.stderr.flush()
    os._exit(3)


def fork(id_: int, arguments: dict[str, Any]) -> dict[str, Any]:
    return text(str(subprocess.Popen(["/bin/sleep", "1000"], stdin=subprocess.DEVNULL).pid))


def progress(id_: int, arguments: dict[str, Any]) -> dict[str, Any]:
    for done in range(3):
        note = {"progressToken": id_, "progress": done, "total": 3, "message": "digging"}
        say({"method": "notifications/progress", "params": note})
    return text("done")


def result(id_: int, arguments: dict[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = arguments["result"]
    return given


def flood(id_: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """Floods once it has answered, while nobody asks."""
    say({"id": id_, "result": text(str(os.getpid()))})
    while True:
        sys.stdout.write("x" * 1_000_000)


def change(id_: int, arguments: dict[str, Any]) -> dict[str, Any]:
    say({"method": "notifications/tools/list_changed"})
    return text("changed")


DEEDS: dict[str, Any] = {
    "hang": lambda id_, arguments: None,
    "huge": huge,
    "die": die,
    "fork": fork,
    "env": lambda id_, arguments: text(json.dumps(dict(os.environ))),
    "progress": progress,
    "sample": lambda id_, arguments: text(json.dumps([ask("sampling/createMessage"), ask("ping")])),
    "fail": lambda id_, arguments: text("there is no such thing", isError=True),
    "notes": lambda id_, arguments: text(json.dumps(NOTES)),
    "result": result,
    "change": change,
    "flood": flood,
}


def call(id_: int, name: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
    deed = DEEDS.get(name.partition("_")[0], lambda id_, given: text(json.dumps(given)))
    given: dict[str, Any] | None = deed(id_, arguments)
    return given


def answer(message: dict[str, Any]) -> dict[str, Any] | None:
    method, params = message["method"], message.get("params", {})
    if method == "initialize":
        return {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "box"}}
    if method == "tools/list":
        tools = json.loads(FILE.read_text())["tools"]
        at = int(params.get("cursor") or 0)
        more = {"nextCursor": str(at + 2)} if at + 2 < len(tools) else {}
        return {"tools": tools[at : at + 2], **more}
    if method == "tools/call":
        return call(message["id"], params["name"], params.get("arguments", {}))
    return {}


def main() -> None:
    sys.stdout.buffer.write(b'starting the toolbox\n"\xff"\n[]\n')  # what belongs on stderr
    sys.stdout.flush()
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            NOTES.append(message)
        elif message["method"] == "server/discover":
            if json.loads(FILE.read_text()).get("dies_of_what_it_does_not_know"):
                os._exit(1)
            say({"id": message["id"], "error": {"code": -32601, "message": "what?"}})
        else:
            result = answer(message)
            if result is not None:
                say({"id": message["id"], "result": result})


main()
