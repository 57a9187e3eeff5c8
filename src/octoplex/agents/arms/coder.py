"""The coder: changes files of the workspace until the tests pass, or says why they do not.

    coder.code     {"instruction": "Make add() add.", "files": ["calc.py"],
                    "tests": ["python3", "-m", "unittest", "-q"]}
    coder.explain  {"instruction": "What does it do?", "files": ["calc.py"]}

A round: the model sees the instruction, the files and what the tests said last; it answers with
edits; these are made where the step may write, and the tests run in the sandbox. It ends when they
pass, after `rounds`, when the same edits come again, or when the money is gone. What was changed
stays, also when the tests fail: a repair goes on from there.

What files and tests hold is shown to the model as data. One that obeys it all the same can change
what the step may write, and nothing else.
"""

import asyncio
from collections.abc import Iterable
from hashlib import sha256
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from octoplex.agents.arms.actions import Acts, Doing, short
from octoplex.agents.arms.asking import Asking
from octoplex.agents.arms.form import INTEGER, TEXT, list_of, schema_of, text_of
from octoplex.agents.arms.running import Ran, Runner
from octoplex.agents.place import covers, place_of
from octoplex.agents.policy.policy import Command, permitted
from octoplex.agents.schemas import schema_from
from octoplex.agents.words import Artifact, Evidence, Failed, FailureKind, Offer, Outcome

ROUNDS, MOST_ROUNDS = 4, 10
MOST_SHOWN, MOST_FILE = 120_000, 40_000
"""Characters of all files, and of one, that the model sees."""
Kind = Literal["generate", "debug", "refactor", "test", "optimize"]
TASKS: dict[Kind, str] = {
    "generate": "Write what the instruction asks for.",
    "debug": "Find why it does not work as the instruction says, and mend that.",
    "refactor": "Change the form as the instruction says; what it does must stay.",
    "test": "Write tests as the instruction says.",
    "optimize": "Make it take less, as the instruction says; what it does must stay.",
}
INSTRUCTION = (
    "You change files of a folder. {task}\n\nThe instruction: {told}\n\nThe user's turn has the "
    "folder's `names`, the `files` you work on and, after a first round, what the `tests` said. "
    "Answer with edits: `content` for a whole file, or `old` and `new` for a part of one, where "
    "`old` stands exactly once in it. No edits: nothing is left to do."
)
EXPLAIN = "You answer a question about code. The question: {told}\n\nAnswer from the files alone."
_PATH = text_of("A path below the workspace.", 4_000)
_FILES = list_of(_PATH, "The files it works on.", most=50)
_TOLD = text_of("What is to be done.")
CODE = Offer(
    "coder.code",
    "Write or change code in the workspace until its tests pass.",
    schema_of(
        {
            "instruction": _TOLD,
            "files": _FILES,
            "tests": list_of(TEXT, 'A command, like ["python3", "-m", "unittest", "-q"].', least=1),
            "request_type": {"enum": list(TASKS)},
            "rounds": {**INTEGER, "minimum": 1, "maximum": MOST_ROUNDS},
        },
        "instruction",
    ),
    schema_of(
        {
            "summary": TEXT,
            "files": list_of(TEXT),
            "rounds": INTEGER,
            "passed": {"type": ["boolean", "null"], "description": "null: there are no tests."},
            "tests": {**TEXT, "description": "What they said last."},
        }
    ),
    effect="repeatable",
    needs=("read:workspace?", "write:workspace?", "run:{tests/0}"),
    parallel=1,
    timeout_s=900.0,
    cost_tier=4,
    brings_untrusted=True,
)
ASKED = Offer(
    "coder.explain",
    "Answer a question about code of the workspace.",
    schema_of({"instruction": _TOLD, "files": _FILES}, "instruction", "files"),
    schema_of({"text": TEXT}),
    needs=("read:workspace?",),
    timeout_s=300.0,
    cost_tier=3,
    brings_untrusted=True,
)


class Edit(Struct, frozen=True):
    """A file as a whole, or a part of one."""

    path: str
    content: str | None = None
    old: str | None = None
    new: str | None = None


class Edits(Struct, frozen=True):
    """What a model answers in a round."""

    summary: Annotated[str, Meta(max_length=2_000)]
    edits: Annotated[tuple[Edit, ...], Meta(max_length=50)] = ()


_SCHEMA = schema_from(Edits)


def coder(runner: Runner) -> Acts:
    """The coder."""

    async def code(doing: Doing) -> Outcome:
        return await _Rounds(doing, runner).run()

    return ((CODE, code), (ASKED, _explain))


async def _explain(doing: Doing) -> Outcome:
    files = await asyncio.to_thread(_read, doing, map(place_of, doing.inputs["files"]))
    asking = Asking(doing)
    text = await asking.text(EXPLAIN.format(told=doing.inputs["instruction"]), {"files": files})
    return asking.outcome({"text": text}, text, is_untrusted=True)


class _Rounds:
    """One step of the coder."""

    def __init__(self, doing: Doing, runner: Runner) -> None:
        self._doing, self._runner, self._asking = doing, runner, Asking(doing)
        self._folder = doing.folder
        self._written: dict[str, Artifact] = {}
        self._seen: set[bytes] = set()
        self._files = list(map(place_of, doing.inputs.get("files", ())))
        self._ran: Ran | None = None
        self._rounds, self._summary = 0, ""

    async def run(self) -> Outcome:
        """Round by round."""
        failure: FailureKind | None = None
        said = ""
        try:
            while self._rounds < self._doing.inputs.get("rounds", ROUNDS):
                said = await self._round(said)
                if not said:
                    break
        except Failed as error:
            failure, said = error.failure, str(error)
        return self._outcome(failure or ("failed" if said else None), said)

    async def _round(self, said: str) -> str:
        """One of them; what the next one should know, "" when none is needed."""
        edits = await self._asked(said)
        self._rounds += 1
        self._summary = edits.summary or self._summary
        await self._doing.tell(f"round {self._rounds}: {self._summary}")
        said = await asyncio.to_thread(self._made, edits)
        if not said and "tests" in self._doing.inputs:
            self._ran = await self._tested()
            said = _said(self._ran) if self._ran.fault()[0] else ""
        if said:
            self._note(edits, said)
        return said

    async def _asked(self, said: str) -> Edits:
        inputs = self._doing.inputs
        task = TASKS[inputs.get("request_type", "generate")]
        told = INSTRUCTION.format(task=task, told=inputs["instruction"])
        data = await asyncio.to_thread(self._shown)
        value = await self._asking.value(told, {**data, "tests": said} if said else data, _SCHEMA)
        return msgspec.convert(value, Edits)

    def _shown(self) -> dict[str, Any]:
        own = self._doing.grant.readable
        names = [path for path in self._folder.state() if any(covers(one, path) for one in own)]
        files = _read(self._doing, (*self._files, *self._written))
        return {"names": names[:500], "files": files}

    def _made(self, edits: Edits) -> str:
        """Make the edits; what is wrong with the first that cannot be made."""
        try:
            for edit in edits.edits:
                place = place_of(edit.path)
                self._doing.grant.need(f"write:workspace/{place}")
                data = self._content(place, edit).encode("utf-8", "replace")
                self._written[place] = self._folder.write(place, data)
        except Failed as error:
            return f"An edit could not be made: {error}"
        return ""

    def _content(self, place: str, edit: Edit) -> str:
        if edit.content is not None:
            return edit.content
        text = self._folder.read(place).decode("utf-8", "replace")
        if not edit.old or edit.new is None or text.count(edit.old) != 1:
            count = text.count(edit.old) if edit.old else 0
            raise Failed("failed", f'"{place}": `old` must stand in it once, not {count} times.')
        return text.replace(edit.old, edit.new)

    async def _tested(self) -> Ran:
        doing, argv = self._doing, self._doing.inputs["tests"]
        told = permitted(argv, doing.grant, doing.world.workspace)
        return await self._runner.run(doing, Command(" ".join(argv)[:200], told.argv, env=told.env))

    def _note(self, edits: Edits, said: str) -> None:
        """Remember a round that did not do.

        Raises:
            Failed: it is one that was there before.
        """
        files = [one.sha256 for one in self._written.values()]
        digest = sha256(msgspec.json.encode((edits.edits, files))).digest()
        if digest in self._seen:
            raise Failed("loop", f"The same edits came twice, and then: {short(said, 1_000)}")
        self._seen.add(digest)

    def _outcome(self, failure: FailureKind | None, why: str) -> Outcome:
        ran = self._ran
        evidence = [Evidence("tests", ran.program.name, ran.result.status)] if ran else []
        evidence += [Evidence("file", one.path, one.size) for one in self._written.values()]
        output = {
            "summary": self._summary,
            "files": list(self._written),
            "rounds": self._rounds,
            "passed": None if ran is None else failure is None,
            "tests": _said(ran) if ran else "",
        }
        return self._asking.outcome(
            output,
            self._summary,
            artifacts=tuple(self._written.values()),
            evidence=tuple(evidence),
            is_untrusted=True,
            failure=failure,
            why=short(f"After {self._rounds} rounds: {why}") if why else "",
        )


def _said(ran: Ran) -> str:
    return short(f"status {ran.result.status}\n{ran.stdout}\n{ran.stderr}", 8_000)


def _read(doing: Doing, places: Iterable[str]) -> dict[str, str]:
    """The files that a model is shown; one that is not there yet is empty."""
    found: dict[str, str] = {}
    left = MOST_SHOWN
    for place in dict.fromkeys(places):
        doing.grant.need(f"read:workspace/{place}")
        try:
            text = doing.folder.read(place).decode("utf-8", "replace")
        except Failed:
            text = ""
        found[place] = short(text, max(min(MOST_FILE, left), 100))
        left -= len(found[place])
    return found
