"""The command-line agents at work: each reads two files and writes a third, whoever answers.

Rows 13 (Claude Code) and 17 (Codex) of what users of other gateways suffer from; the model is
one that the catalogue does not know, which is row 37.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.asked import Asked
from tests.clients.command import Home
from tests.clients.tasks import files
from tests.clients.told import Blocks, signed
from tests.clients.world import Script, World, others
from tests.sdk.vendors import text, use

ASK = "Read one.txt and two.txt and write their secret words, and nothing else, to out.txt."
QUIET = ("-c", "check_for_update_on_startup=false", "-c", "analytics.enabled=false")
QUIET += ("--skip-git-repo-check",)
MCP = """
import json, sys

SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}}}
for line in sys.stdin:
    asked = json.loads(line)
    told = {}
    if asked["method"] == "initialize":
        told = {"protocolVersion": asked["params"]["protocolVersion"]}
        told |= {"capabilities": {"tools": {}}, "serverInfo": {"name": "words", "version": "1"}}
    elif asked["method"] == "tools/list":
        told = {"tools": [{"name": "lookup", "description": "A word.", "inputSchema": SCHEMA}]}
    elif asked["method"] == "tools/call":
        place = asked["params"]["arguments"]["place"]
        told = {"content": [{"type": "text", "text": f"word-dipper of {place}"}]}
    if "id" in asked:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": told}), flush=True)
"""
At = Callable[[str, Script], World]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    (home.work / "one.txt").write_text("The secret is word-kestrel.\n")
    (home.work / "two.txt").write_text("And word-plover.\n")
    return home


def check(home: Home, world: World, said: str) -> None:
    """The file is there, the turns were three, and every proof came back."""
    assert "The words are written." in said
    assert (home.work / "out.txt").read_text().strip() == "word-kestrel word-plover"
    turns = [asked for asked in world.asked if asked.tools]
    assert [len(asked.results) for asked in turns] == [0, 2, 3]
    assert all(asked.model == "model-nobody-knows" for asked in world.asked)
    if world.dialect == "gemini":
        assert turns[-1].signatures == [signed("call_1"), signed("call_3")]


@others("anthropic")
def test_claude_code_works_with_tools_on_every_dialect(at: At, home: Home, dialect: str) -> None:
    reads = [{"file_path": str(home.work / name)} for name in ("one.txt", "two.txt")]
    write = {"file_path": str(home.work / "out.txt"), "content": "{words}\n"}
    world = at(dialect, files("Read", "Write", reads, write))
    home.env = {
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
    }
    line = ("claude", "-p", ASK, "--permission-mode", "acceptEdits")
    check(home, world, home.run("claude-code", world.url, *line))


@others("openai-responses")
def test_codex_works_with_tools_on_every_dialect(at: At, home: Home, dialect: str) -> None:
    shell = "exec_command"
    reads = [{"cmd": "cat one.txt"}, {"cmd": "cat two.txt"}]
    write = {"cmd": "echo {words} > out.txt"}
    world = at(dialect, files(shell, shell, reads, write))
    line = ("codex", "exec", *QUIET, "--sandbox", "workspace-write", ASK)
    check(home, world, home.run("codex", world.url, *line))


@others("openai-responses")
def test_codex_calls_the_tools_of_an_mcp_server(at: At, home: Home, dialect: str) -> None:
    """They are in a namespace, which no other dialect has."""
    tool, shell = "mcp__words__lookup", "exec_command"

    def script(asked: Asked) -> Blocks:
        match len(asked.results):
            case 0:
                assert "place" in asked.tools[tool]["properties"]
                return [use("call_1", tool, place="river")]
            case 1:
                (said,) = asked.results.values()
                assert "word-dipper of river" in said, said
                return [use("call_2", shell, cmd="echo word-dipper > out.txt")]
        return [text("The word is written.")]

    world = at(dialect, script)
    (home.work / "server.py").write_text(MCP)
    place = ["-c", f'mcp_servers.words.command="{sys.executable}"']
    place += ["-c", f'mcp_servers.words.args=["{home.work / "server.py"}"]']
    place += ["-c", 'mcp_servers.words.default_tools_approval_mode="approve"']
    line = ("codex", "exec", *QUIET, *place, "--sandbox", "workspace-write", ASK)
    assert "The word is written." in home.run("codex", world.url, *line)
    assert (home.work / "out.txt").read_text() == "word-dipper\n"


@others("gemini")
def test_gemini_cli_works_with_tools_on_every_dialect(at: At, home: Home, dialect: str) -> None:
    reads = [{"file_path": str(home.work / name)} for name in ("one.txt", "two.txt")]
    write = {"file_path": str(home.work / "out.txt"), "content": "{words}\n"}
    world = at(dialect, files("read_file", "write_file", reads, write))
    quiet = {
        "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
    }
    (home.home / "system.json").write_text(json.dumps(quiet))
    home.env = {
        "GEMINI_CLI_SYSTEM_SETTINGS_PATH": str(home.home / "system.json"),
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    }
    line = ("gemini", "-p", ASK, "--approval-mode", "auto_edit")
    check(home, world, home.run("gemini-cli", world.url, *line))


@others("openai-responses")
def test_codex_over_one_websocket(at: At, home: Home, dialect: str) -> None:
    """It announces what it will ask (`generate: false`), and then sends only what is new."""
    shell = "exec_command"
    reads = [{"cmd": "cat one.txt"}, {"cmd": "cat two.txt"}]
    write = {"cmd": "echo {words} > out.txt"}
    world = at(dialect, files(shell, shell, reads, write))
    over = ("-c", "model_providers.octoplex.supports_websockets=true")
    home.env = {"RUST_LOG": "codex_api=info"}
    line = ("codex", "exec", *QUIET, *over, "--sandbox", "workspace-write", ASK)
    check(home, world, home.run("codex", world.url, "sh", "-c", 'exec "$@" 2>log', "sh", *line))
    assert "connected to Responses WebSocket" in (home.work / "log").read_text()
