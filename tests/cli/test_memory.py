"""`octoplex memory`: what agents remember, shown, found and forgotten."""

import asyncio
import json
from typing import Literal

from octoplex.agents.memory.file import open_file
from octoplex.agents.memory.memory import Memory
from tests.shell import Home, run


async def let_in(text: str, way: Literal["in", "out"]) -> str:
    return text


async def kept(bare: Home) -> None:
    memory = Memory(open_file(bare.data))
    for owner in ("tenant acme", "key other"):
        mine = memory.of(owner, screen=let_in, task="task_1", who="app")
        await mine.keep(f"Backups of {owner} run at 02:30.", source="ops.md", is_untrusted=False)
        await mine.keep("Evil \x1b[31mred\n text.", source="https://evil.example")
    await memory.close()


def test_what_is_remembered_is_shown_found_and_forgotten(bare: Home) -> None:
    bare.config('[memory]\nembed = "nobody/asks-it"\n')
    said = run(bare, "memory", "list").failed_with_a_sentence()
    assert "Nothing is remembered" in said
    assert not (bare.data / "memory.db").exists()
    bare.data.mkdir(parents=True, exist_ok=True)
    asyncio.run(kept(bare))
    owners = json.loads(run(bare, "memory", "list", "--json", status=0).out)
    assert owners == [{"owner": "key other", "facts": 2}, {"owner": "tenant acme", "facts": 2}]
    shown = run(bare, "memory", "list", "tenant acme", status=0).out
    assert "\x1b" not in shown
    assert "Evil  [31mred  text." in shown
    assert "key other" not in shown
    found = json.loads(
        run(bare, "memory", "find", "key other", "backup", "times", "--json", status=0).out
    )
    assert [(one["text"], one["is_untrusted"]) for one in found] == [
        ("Backups of key other run at 02:30.", False)
    ]
    run(bare, "memory", "forget", "tenant acme").failed_with_a_sentence()
    out = run(bare, "memory", "forget", "tenant acme", "--id", found[0]["id"])
    assert "nothing of that" in out.failed_with_a_sentence()  # it is another's
    assert run(bare, "memory", "forget", "tenant acme", "--all", status=0).out == (
        "Forgotten: 2 facts.\n"
    )
    (line,) = json.loads(run(bare, "audit", "--json", status=0).out)
    assert (line["what"], line["about"], line["after"]) == (
        "memory.forget",
        "tenant acme",
        {"forgotten": "all"},
    )
    assert line["who"].startswith("shell:")
    left = json.loads(run(bare, "memory", "list", "--json", status=0).out)
    assert left == [{"owner": "key other", "facts": 2}]
    audit = bare.data / "audit.jsonl"
    audit.rename(bare.data / "aside")
    audit.mkdir()
    said = run(bare, "memory", "forget", "key other", "--all").failed_with_a_sentence()
    assert "audit.jsonl" in said  # what cannot be noted is not done
    assert json.loads(run(bare, "memory", "list", "--json", status=0).out) == left
