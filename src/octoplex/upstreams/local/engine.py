"""What the local model's process runs: llama.cpp's own HTTP server on a loopback port.

`worker.py` starts this file as a script, so it imports nothing of the gateway: a crash,
a leak or a blocked interpreter in here costs one model and not the front door.

The conversation with the owner is three lines long:

    owner  -> stdin   one JSON line: path, id, context, slots, threads, template,
                      idle_s, temperature, top_p (null: as llama.cpp has them)
    engine -> stdout  one JSON line: type "ready", host, port, api_key, context, tools, images
                      or: type "refused", cause ("model" | "engine" | "load"), message
    owner  -> stdin   end of file, whenever the owner closes it or dies: the engine ends

On Linux the kernel is also asked to end this process with its parent, since the main
thread cannot see the end of file while a large model loads. Reference: llama.cpp
`tools/server/README.md`; `prctl(2)`, PR_SET_PDEATHSIG.

Not promised: anything about the port beyond this process's life, or about the bundled
routes that the gateway does not use.
"""

import ctypes
import http.client
import importlib
import json
import os
import secrets
import signal
import sys
import traceback
from types import TracebackType
from typing import Any, NoReturn
from urllib.parse import urlsplit

BATCH = 256
"""Prompt tokens per step. A caller who leaves is noticed between two steps, and other
conversations move on there: 13 s with llama.cpp's 2,048 on one slow core, 1.8 s with 256,
at the same speed (122 tokens/s)."""
PROMPT_CACHE_MIB = 256
"""Memory for prompts of resting conversations; llama.cpp's own default is 8 GiB."""
WARNINGS = 2
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Read the order, load the model, say where it listens, and wait for the owner's end."""
    sys.excepthook = crash
    # Libraries below may print: what they write to stdout belongs in the log, not in the talk.
    talk = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    order = json.loads(sys.stdin.buffer.readline() or b"null")
    if order is None:
        leave(0)
    answer, server = serve(order)
    print(json.dumps(answer), file=talk, flush=True)
    if server is not None:
        sys.stdin.buffer.read()
    leave(0 if server is not None else 1)


def leave(status: int) -> NoReturn:
    """End now: on the ordinary way out the server's destructor was seen to hang."""
    os._exit(status)


def crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write what went wrong to the log, and end."""
    traceback.print_exception(kind, error, trace)
    leave(1)


def end_with_parent() -> None:
    """Ask the kernel to end this process when the thread that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def serve(order: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Start the server; returns the line for the owner and the server, None if it failed."""
    fault = unreadable(order["path"])
    if fault:
        return refused("model", fault), None
    try:
        library: Any = importlib.import_module("xllamacpp")
    except ImportError as error:
        return refused("engine", str(error)), None
    api_key = secrets.token_urlsafe(24)
    try:
        server = library.Server(params(library.CommonParams(), order, api_key))
    except (RuntimeError, ValueError) as error:
        return refused("load", str(error)), None
    at = urlsplit(server.listening_address)
    place = {"host": at.hostname or "127.0.0.1", "port": at.port or 0, "api_key": api_key}
    return {"type": "ready", **place, **abilities(place)}, server


def refused(cause: str, message: str) -> dict[str, Any]:
    """The line that says why there is no server."""
    return {"type": "refused", "cause": cause, "message": message}


def unreadable(path: str) -> str:
    """Why this cannot be a model file, or "" if it may be one."""
    try:
        with open(path, "rb") as file:
            magic = file.read(4)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}."
    return "" if magic == b"GGUF" else f"{path} is not a GGUF file."


def params(values: Any, order: dict[str, Any], api_key: str) -> Any:
    """llama.cpp's parameters for one order."""
    values.model.path = order["path"]
    values.model_alias = {order["id"]}
    values.n_parallel = order["slots"]
    values.n_ctx = order["context"] * order["slots"]
    values.n_batch = values.n_ubatch = BATCH
    for cpu in (values.cpuparams, values.cpuparams_batch):
        cpu.n_threads = order["threads"]
    values.cache_ram_mib = PROMPT_CACHE_MIB
    values.sleep_idle_seconds = order["idle_s"] or -1
    if order["temperature"] is not None:
        values.sampling.temp = order["temperature"]
    if order["top_p"] is not None:
        values.sampling.top_p = order["top_p"]
    if order["template"]:
        values.chat_template = order["template"]
    values.hostnames, values.port = ["127.0.0.1"], 0
    values.api_keys = [api_key]
    values.cors_origins = ""
    values.ui = False
    values.verbosity = WARNINGS
    return values


def abilities(place: dict[str, Any]) -> dict[str, Any]:
    """What the loaded model can do, as the server reports it."""
    connection = http.client.HTTPConnection(place["host"], place["port"], timeout=30)
    connection.request("GET", "/props", headers={"authorization": f"Bearer {place['api_key']}"})
    props = json.loads(connection.getresponse().read())
    connection.close()
    return {
        "context": props["default_generation_settings"]["n_ctx"],
        "tools": props["chat_template_caps"]["supports_tools"],
        "images": props["modalities"]["vision"],
    }


if __name__ == "__main__":
    main()
