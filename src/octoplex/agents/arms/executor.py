"""The executor: commands, Python and files, each bounded by what its step was granted.

    executor.command  {"argv": ["grep", "-rn", "sales", "data"]}
    executor.python   {"code": "result = sum(rows)", "rows": [1, 2]}       -> {"value": 3, ...}
    executor.command_online, executor.python_online         the same, where hosts may be reached
    executor.read, .write, .list, .move, .delete                           files of the workspace

Programs run in the sandbox and no shell reads their words (`policy/`). Files are touched by the
host itself, over no link (`folder.py`). What a program writes may be anybody's text.
"""

import asyncio
import keyword
import shlex
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha256
from secrets import token_hex
from typing import Any

import msgspec

from octoplex.agents.arms.actions import Act, Acts, Doing, short
from octoplex.agents.arms.form import INTEGER, TEXT, list_of, schema_of, text_of
from octoplex.agents.arms.running import Runner
from octoplex.agents.policy.policy import Command, permitted
from octoplex.agents.words import Evidence, Failed, Offer, Outcome

MOST_READ = 1_000_000
"""Bytes of a file that a step is given."""
RUNNER = b"""
import json, sys
told = sys.argv.pop()
with open("/files/inputs.json", encoding="utf-8") as source:
    names = json.load(source)
names["__name__"] = "__main__"
with open("/files/code.py", encoding="utf-8") as source:
    code = compile(source.read(), source.name, "exec")
try:
    exec(code, names)
finally:
    if "result" in names:
        sys.stdout.flush()
        sys.stdout.write("\\n" + told + json.dumps(names["result"], default=str))
        sys.stdout.flush()
"""
"""What runs a step's code: inputs are its variables, `result` is its value."""
AS_SEEN = b"""
import os, sys
place = sys.argv[1]
sys.argv[:2] = [place]
sys.path[0] = os.path.dirname(os.path.abspath(place))
with open("/files/code.py", "rb") as source:
    code = compile(source.read(), place, "exec")
exec(code, {"__name__": "__main__", "__file__": os.path.join(os.getcwd(), place)})
"""
"""What runs a script of which there is a copy, as Python runs it by its name."""
_OWN = frozenset({"code", "file", "args", "hosts"})
_PATH = text_of("A path below the workspace.", 4_000)
_PLACED = schema_of({"path": _PATH}, "path")
_VALUED = schema_of(
    {
        "value": {"description": "What the code left in `result`; null without it."},
        "text": {**TEXT, "description": "What it printed."},
        "status": INTEGER,
        "stderr": TEXT,
    }
)
_CODE = {
    "code": text_of(
        "Python. Other inputs are its variables; what it leaves in `result` is its value. It "
        "starts in the workspace.",
        100_000,
    ),
    "file": text_of("Instead of code: a script of the workspace.", 4_000),
    "args": list_of(TEXT, "Words for the file."),
}
_ARGV = 'The program and its words, like ["grep", "-rn", "sales", "data"].'
_HOSTS = list_of(TEXT, "Hosts that it may reach, by HTTP and HTTPS.", least=1)
COMMAND = Offer(
    "executor.command",
    "Run one program of the sandbox, without a shell: no pipes, no wildcards, no redirections.",
    schema_of({"argv": list_of(TEXT, _ARGV, least=1)}, "argv"),
    schema_of({"status": INTEGER, "stdout": TEXT, "stderr": TEXT}),
    effect="repeatable",
    needs=("run:{argv/0}", "read:workspace?", "write:workspace?"),
    brings_untrusted=True,
)
COMMAND_ONLINE = msgspec.structs.replace(
    COMMAND,
    name="executor.command_online",
    description='Fetch by curl from a host that is allowed: ["curl", "-sf", "https://HOST/PATH"].',
    needs=(*COMMAND.needs, "net:*"),
)
PYTHON = Offer(
    "executor.python",
    "Run Python in the sandbox, without network, with the workspace as its folder.",
    schema_of(_CODE, more=True),
    _VALUED,
    effect="repeatable",
    needs=("run:python", "read:workspace?", "write:workspace?"),
    brings_untrusted=True,
)
PYTHON_ONLINE = msgspec.structs.replace(
    PYTHON,
    name="executor.python_online",
    description="Run Python in the sandbox that may reach the named hosts.",
    input_schema=schema_of({**_CODE, "hosts": _HOSTS}, "hosts", more=True),
    effect="once",
    needs=(*PYTHON.needs, "net:{hosts}"),
)
READ = Offer(
    "executor.read",
    "Read a file of the workspace as it is; `retriever.read` understands its form.",
    _PLACED,
    schema_of({"text": TEXT, "base64": TEXT, "size": INTEGER}),
    needs=("read:workspace/{path}",),
    brings_untrusted=True,
)
WRITE = Offer(
    "executor.write",
    "Write a file of the workspace: a text, any JSON value, or bytes in base64.",
    schema_of(
        {
            "path": _PATH,
            "text": text_of("What is written.", 10_000_000),
            "value": {"description": "Instead of text: a value, written as JSON."},
            "base64": text_of("In its place: bytes.", 10_000_000),
        },
        "path",
    ),
    schema_of({"path": _PATH, "size": INTEGER, "sha256": TEXT}),
    effect="repeatable",
    needs=("write:workspace/{path}",),
)
LIST = Offer(
    "executor.list",
    "List a folder of the workspace.",
    schema_of({"path": _PATH}),
    schema_of({"entries": list_of(schema_of({"path": _PATH, "size": INTEGER, "kind": TEXT}))}),
    needs=("read:workspace?",),
    brings_untrusted=True,
)
MOVE = Offer(
    "executor.move",
    "Give a file or folder of the workspace another name.",
    schema_of({"path": _PATH, "to": _PATH}, "path", "to"),
    schema_of({"path": _PATH}),
    effect="repeatable",
    needs=("write:workspace/{path}", "write:workspace/{to}"),
)
DELETE = Offer(
    "executor.delete",
    "Remove a file of the workspace, or a folder with all that is in it.",
    _PLACED,
    schema_of({"path": _PATH}),
    effect="repeatable",
    needs=("write:workspace/{path}",),
)


def executor(runner: Runner) -> Acts:
    """The executor."""
    command, python = _command(runner), _python(runner)
    programs = ((COMMAND, command), (COMMAND_ONLINE, command), (PYTHON, python))
    files = ((READ, _read), (WRITE, _write), (LIST, _list), (MOVE, _move), (DELETE, _delete))
    beside = tuple((offer, _beside(act)) for offer, act in files)
    return (*programs, (PYTHON_ONLINE, python), *beside)


def _command(runner: Runner) -> Act:
    async def act(doing: Doing) -> Outcome:
        told = permitted(doing.inputs["argv"], doing.grant, doing.world.workspace)
        await doing.tell(shlex.join(doing.inputs["argv"]))
        ran = await runner.run(doing, told)
        output = {"status": ran.result.status, "stdout": ran.stdout, "stderr": ran.stderr}
        return ran.outcome(output, ran.stdout or ran.stderr)

    return act


def _python(runner: Runner) -> Act:
    async def act(doing: Doing) -> Outcome:
        told = token_hex(16)
        ran = await runner.run(doing, _program(doing, told))
        text, found, value = ran.stdout.rpartition("\n" + told)
        if not found:
            text, value = ran.stdout, "null"
        is_whole = ran.result.outcome == "exited"
        output = {
            "value": _value(value) if is_whole else None,
            "text": text,
            "status": ran.result.status,
            "stderr": ran.stderr,
        }
        return ran.outcome(output, text or ran.stderr or value)

    return act


def _program(doing: Doing, told: str) -> Command:
    inputs = doing.inputs
    hosts, args = inputs.get("hosts", ()), inputs.get("args", ())
    if ("code" in inputs) == ("file" in inputs):
        raise Failed("refused", "Give either `code` or `file`.")
    if "file" in inputs:
        place = doing.place("read", "file")
        if place in doing.order.seen:
            return _seen(doing, place)
        argv = ["python3", "-s", "-E", "-B", f"./{place}", *args]
        return Command(f"python3 {place}", argv, hosts=hosts)
    names = {name: value for name, value in inputs.items() if name not in _OWN}
    for name in names:
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
            raise Failed("refused", f'"{name[:60]}" cannot be a variable of the code.')
    files = {
        "run.py": RUNNER,
        "code.py": inputs["code"].encode("utf-8", "replace"),
        "inputs.json": msgspec.json.encode(names),
    }
    argv = ["python3", "-I", "/files/run.py", *args, told]
    return Command("python3", argv, files=files, hosts=hosts)


def _seen(doing: Doing, place: str) -> Command:
    """A script as a person saw it, whatever others write there meanwhile."""
    data = doing.folder.read(place)
    if sha256(data).hexdigest() != doing.order.seen[place]:
        raise Failed("refused", f'"{place}" is not what it was when it was allowed.')
    words = (f"./{place}", *doing.inputs.get("args", ()))
    argv = ["python3", "-s", "-E", "-B", "/files/run.py", *words]
    files = {"run.py": AS_SEEN, "code.py": data}
    return Command(f"python3 {place}", argv, files=files, hosts=doing.inputs.get("hosts", ()))


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Failed("failed", f"What is in `result` is no JSON value ({error}).") from None


def _read(doing: Doing) -> Outcome:
    place = doing.place("read")
    data = doing.folder.read(place, MOST_READ)
    try:
        output: dict[str, Any] = {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        output = {"base64": b64encode(data).decode()}
    return Outcome(
        output={**output, "size": len(data)},
        text=short(output.get("text", f"{len(data):,} bytes")),
        evidence=(Evidence("source", place),),
        is_untrusted=True,
    )


def _write(doing: Doing) -> Outcome:
    inputs = doing.inputs
    given = [name for name in ("text", "value", "base64") if name in inputs]
    if len(given) != 1:
        raise Failed("refused", "Give one of `text`, `value` and `base64`.")
    place = doing.place("write")
    if given == ["text"]:
        data = inputs["text"].encode("utf-8", "replace")
    elif given == ["value"]:
        data = msgspec.json.format(msgspec.json.encode(inputs["value"]), indent=2)
    else:
        try:
            data = b64decode(inputs["base64"], validate=True)
        except ValueError:
            raise Failed("refused", "`base64` is no base64.") from None
    one = doing.folder.write(place, data)
    return Outcome(
        output=msgspec.structs.asdict(one),
        text=f"{one.path} ({one.size:,} bytes)",
        artifacts=(one,),
        evidence=(Evidence("file", one.path, one.size),),
    )


def _list(doing: Doing) -> Outcome:
    found = doing.folder.list(doing.place("read"))
    names = "\n".join(f"{one.path}{'/' * (one.kind == 'folder')}" for one in found)
    return Outcome(
        output={"entries": msgspec.to_builtins(found)}, text=short(names), is_untrusted=True
    )


def _move(doing: Doing) -> Outcome:
    place, to = doing.place("write"), doing.place("write", "to")
    doing.folder.move(place, to)
    return Outcome(output={"path": to}, text=f"{place} is {to} now")


def _delete(doing: Doing) -> Outcome:
    place = doing.place("write")
    doing.folder.delete(place)
    return Outcome(output={"path": place}, text=f"{place} is gone")


def _beside(act: Callable[[Doing], Outcome]) -> Act:
    """An action that waits for the disk, off the event loop."""
    return lambda doing: asyncio.to_thread(act, doing)
