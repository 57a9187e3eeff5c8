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
from secrets import token_hex
from typing import Any

import msgspec

from octoplex.agents.arms.actions import Act, Actions, Doing, schema_of, short, text_of
from octoplex.agents.arms.folder import Entry, Folder
from octoplex.agents.arms.running import Program, Runner
from octoplex.agents.capability import Checker
from octoplex.agents.place import place_of
from octoplex.agents.policy.policy import permitted
from octoplex.agents.words import Artifact, Evidence, Failed, Offer, Outcome

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
_OWN = frozenset({"code", "file", "args", "hosts"})
_PATH = text_of("A path below the workspace.", 4_000)
_RAN = schema_of(
    {"status": {"type": "integer"}, "stdout": {"type": "string"}, "stderr": {"type": "string"}}
)
_VALUED = schema_of(
    {
        "value": {"description": "What the code left in `result`; null without it."},
        "text": {"type": "string", "description": "What it printed."},
        "status": {"type": "integer"},
        "stderr": {"type": "string"},
    }
)
_FILE = schema_of({"path": _PATH, "size": {"type": "integer"}, "sha256": {"type": "string"}})
_CODE = {
    "code": text_of(
        "Python. Other inputs are its variables; what it leaves in `result` is its value. It "
        "starts in the workspace.",
        100_000,
    ),
    "file": text_of("Instead of code: a script of the workspace.", 4_000),
    "args": {"type": "array", "items": {"type": "string"}, "description": "Words for the file."},
}
_HOSTS = {
    "type": "array",
    "items": {"type": "string"},
    "minItems": 1,
    "description": "Hosts that it may reach, by HTTP and HTTPS.",
}
COMMAND = Offer(
    "executor.command",
    "Run one program of the sandbox, without a shell: no pipes, no wildcards, no redirections.",
    schema_of(
        {
            "argv": {
                "type": "array",
                "items": {"type": "string"},
                "minItems": 1,
                "description": 'The program and its words, like ["grep", "-rn", "sales", "data"].',
            }
        },
        "argv",
    ),
    _RAN,
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
PYTHON_ONLINE = Offer(
    "executor.python_online",
    "Run Python in the sandbox that may reach the named hosts.",
    schema_of({**_CODE, "hosts": _HOSTS}, "hosts", more=True),
    _VALUED,
    effect="once",
    needs=("run:python", "read:workspace?", "write:workspace?", "net:{hosts}"),
    brings_untrusted=True,
)
READ = Offer(
    "executor.read",
    "Read a file of the workspace as it is; `retriever.read` understands its form.",
    schema_of({"path": _PATH}, "path"),
    schema_of(
        {"text": {"type": "string"}, "base64": {"type": "string"}, "size": {"type": "integer"}}
    ),
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
            "base64": text_of("Instead of text: bytes.", 10_000_000),
        },
        "path",
    ),
    _FILE,
    effect="repeatable",
    needs=("write:workspace/{path}",),
)
LIST = Offer(
    "executor.list",
    "List a folder of the workspace.",
    schema_of({"path": _PATH}),
    schema_of(
        {
            "entries": {
                "type": "array",
                "items": schema_of(
                    {"path": _PATH, "size": {"type": "integer"}, "kind": {"type": "string"}}
                ),
            }
        }
    ),
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
    schema_of({"path": _PATH}, "path"),
    schema_of({"path": _PATH}),
    effect="repeatable",
    needs=("write:workspace/{path}",),
)


def executor_arm(runner: Runner, checker: Checker | None = None) -> Actions:
    """The executor."""
    return Actions(
        [
            (COMMAND, _command(runner)),
            (COMMAND_ONLINE, _command(runner)),
            (PYTHON, _python(runner)),
            (PYTHON_ONLINE, _python(runner)),
            *((offer, _beside(act)) for offer, act in _FILES),
        ],
        checker,
    )


def _command(runner: Runner) -> Act:
    async def act(doing: Doing) -> Outcome:
        told = permitted(doing.inputs["argv"], doing.grant, doing.world.workspace)
        await doing.tell(shlex.join(doing.inputs["argv"]))
        ran = await runner.run(
            doing,
            Program(
                told.name,
                told.argv,
                env=told.env,
                hosts=told.hosts,
                changes=told.changes,
                answers=told.answers,
            ),
        )
        output = {"status": ran.result.status, "stdout": ran.stdout, "stderr": ran.stderr}
        return ran.outcome(output, ran.stdout or ran.stderr)

    return act


def _python(runner: Runner) -> Act:
    async def act(doing: Doing) -> Outcome:
        told = token_hex(16)
        ran = await runner.run(doing, _program(doing, told))
        text, _, value = ran.stdout.rpartition("\n" + told)
        if not _:
            text, value = ran.stdout, "null"
        output = {
            "value": _value(value),
            "text": text,
            "status": ran.result.status,
            "stderr": ran.stderr,
        }
        return ran.outcome(output, text or ran.stderr or value)

    return act


def _program(doing: Doing, told: str) -> Program:
    inputs = doing.inputs
    hosts, args = inputs.get("hosts", ()), inputs.get("args", ())
    if ("code" in inputs) == ("file" in inputs):
        raise Failed("refused", "Give either `code` or `file`.")
    if "file" in inputs:
        place = place_of(inputs["file"])
        doing.grant.need(f"read:workspace/{place}")
        argv = ["python3", "-s", "-E", "-B", f"./{place}", *args]
        return Program(f"python3 {place}", argv, hosts=hosts)
    names = {name: value for name, value in inputs.items() if name not in _OWN}
    for name in names:
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
            raise Failed("refused", f'"{name[:60]}" cannot be a variable of the code.')
    files = {
        "run.py": RUNNER,
        "code.py": inputs["code"].encode("utf-8", "replace"),
        "inputs.json": msgspec.json.encode(names),
    }
    return Program("python3", ["python3", "-I", "/files/run.py", *args, told], files, hosts=hosts)


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Failed("failed", f"What is in `result` is no JSON value ({error}).") from None


def _read(doing: Doing, folder: Folder) -> Outcome:
    place = place_of(doing.inputs["path"])
    doing.grant.need(f"read:workspace/{place}")
    data = folder.read(place, MOST_READ)
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


def _write(doing: Doing, folder: Folder) -> Outcome:
    inputs = doing.inputs
    given = [name for name in ("text", "value", "base64") if name in inputs]
    if len(given) != 1:
        raise Failed("refused", "Give one of `text`, `value` and `base64`.")
    place = place_of(inputs["path"])
    doing.grant.need(f"write:workspace/{place}")
    if given == ["text"]:
        data = inputs["text"].encode("utf-8", "replace")
    elif given == ["value"]:
        data = msgspec.json.format(msgspec.json.encode(inputs["value"]), indent=2)
    else:
        try:
            data = b64decode(inputs["base64"], validate=True)
        except ValueError:
            raise Failed("refused", "`base64` is no base64.") from None
    return _left(folder.write(place, data))


def _left(one: Artifact) -> Outcome:
    return Outcome(
        output=msgspec.structs.asdict(one),
        text=f"{one.path} ({one.size:,} bytes)",
        artifacts=(one,),
        evidence=(Evidence("file", one.path, one.size),),
    )


def _list(doing: Doing, folder: Folder) -> Outcome:
    place = place_of(doing.inputs.get("path", ""))
    doing.grant.need(f"read:workspace/{place}")
    found: list[Entry] = folder.list(place)
    names = "\n".join(f"{one.path}{'/' * (one.kind == 'folder')}" for one in found)
    return Outcome(
        output={"entries": msgspec.to_builtins(found)}, text=short(names), is_untrusted=True
    )


def _move(doing: Doing, folder: Folder) -> Outcome:
    place, to = place_of(doing.inputs["path"]), place_of(doing.inputs["to"])
    doing.grant.need(f"write:workspace/{place}")
    doing.grant.need(f"write:workspace/{to}")
    folder.move(place, to)
    return Outcome(output={"path": to}, text=f"{place} is {to} now")


def _delete(doing: Doing, folder: Folder) -> Outcome:
    place = place_of(doing.inputs["path"])
    doing.grant.need(f"write:workspace/{place}")
    folder.delete(place)
    return Outcome(output={"path": place}, text=f"{place} is gone")


_FILES = ((READ, _read), (WRITE, _write), (LIST, _list), (MOVE, _move), (DELETE, _delete))


def _beside(act: Any) -> Act:
    """An action that waits for the disk, off the event loop."""

    async def done(doing: Doing) -> Outcome:
        found: Outcome = await asyncio.to_thread(act, doing, Folder(doing.world.workspace))
        return found

    return done
