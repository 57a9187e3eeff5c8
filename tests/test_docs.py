"""What the documents say is what is there: links, keys, commands, words, figures."""

import ast
import asyncio
import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click
import msgspec
import pytest
from msgspec import NODEFAULT, Struct

from octoplex import settings
from octoplex.assembly.sketch import Sketch
from octoplex.catalog.own_price import CALLS, TOKENS
from octoplex.catalog.provider import providers
from octoplex.cli import main
from tests.test_house import HOUSE, MAY_IMPORT, ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "bench" / "README.md"])
SOURCES = "\n".join(path.read_text() for path in sorted(HOUSE.rglob("*.py")))
ENV = MappingProxyType(
    {"APP_KEY": "f7m2q9x4k1z8", "BACKUP_KEY": "sk-b", "OPENAI_API_KEY": "sk-o"}
    | {"ANTHROPIC_API_KEY": "sk-a", "GITHUB_TOKEN": "gh-t", "SEARCH_TOKEN": "se-t"}
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def page(path: str) -> str:
    return (ROOT / path).read_text()


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next of its level or above."""
    level = heading.split()[0]
    after = text.split(f"\n{heading}\n")[1]
    return re.split(rf"\n#{{1,{len(level)}}} ", after)[0]


def rows(text: str) -> Iterator[list[str]]:
    """The rows of every table, without heads and rules."""
    lines = text.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        is_head = re.match(r"\|[-|]+\|$", following) or re.match(r"\|[-|]+\|$", line)
        if line.startswith("| ") and not is_head:
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def fenced(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


# -- links and paths --------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if target.startswith("https://"):
            continue
        file, _, place = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        if place:
            headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
            assert place in map(anchor, headings), target


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_no_paths_of_one_machine(path: Path) -> None:
    assert not re.findall(r"(?<![\w.])/(?:work|root|home|tmp|Users)/", path.read_text())


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_paths_in_code_quotes_exist(path: Path) -> None:
    tree = r"`((?:src|tests|docs|bench|tools|requirements)/[\w./-]+)`"
    for found in re.findall(tree, path.read_text()):
        made = found.startswith(("bench/.work", "bench/results"))  # by a run, not by git
        assert made or "NAME" in found or (ROOT / found).exists(), found


def test_every_decision_is_listed() -> None:
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", page("docs/decisions/README.md")))
    assert listed == {p.name for p in (ROOT / "docs" / "decisions").glob("*.md")} - {"README.md"}


def test_the_tree_in_the_readme_is_the_tree() -> None:
    folder = ROOT
    (tree,) = fenced(section(page("README.md"), "## What is where"), "")
    for line in tree.splitlines():
        entry = line.split()[0]
        folder = ROOT if not line.startswith(" ") else ROOT / "src" / "octoplex"
        assert (folder / entry).exists(), entry
    shown = {line.split()[0].rstrip("/") for line in tree.splitlines() if line.startswith(" ")}
    assert {entry.removesuffix(".py") for entry in shown} == set(MAY_IMPORT)


# -- configuration ----------------------------------------------------------------------------


def as_json(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def default_of(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is NODEFAULT else field.default_factory()


def tables(kind: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every table that the file may have, with its keys and their defaults."""
    fields = msgspec.structs.fields(kind)
    keys = {f.encode_name: default_of(f) for f in fields if f.encode_name != "origin"}
    if path:
        yield path, keys
    for field in fields:
        inner = msgspec.inspect.type_info(field.type)
        options = getattr(inner, "types", (inner,))
        below = f"{path}.{field.encode_name}".lstrip(".")
        for option in options:
            if isinstance(option, msgspec.inspect.StructType):
                yield from tables(option.cls, below)
            elif isinstance(option, msgspec.inspect.DictType) and not path:
                value = option.value_type
                if isinstance(value, msgspec.inspect.StructType):
                    yield from tables(value.cls, f"{below}.NAME")


@cache
def documented() -> dict[str, dict[str, str]]:
    """Table -> key -> default as written, from the headings and tables of the page."""
    found: dict[str, dict[str, str]] = {}
    for part in re.split(r"\n(?=##)", page("docs/configuration.md"))[1:]:
        heading = part.splitlines()[0]
        for path in re.findall(r"`\[([\w.]+)\]`", heading):
            found[path] = {row[0].strip("`"): row[1] for row in rows(part)}
    return found


def test_every_key_is_documented_and_every_documented_key_exists() -> None:
    there = {path: set(keys) for path, keys in tables(settings.Settings, "")}
    there["prices"] = {*TOKENS, *CALLS}
    assert {path: set(keys) for path, keys in documented().items()} == there


def test_documented_defaults_are_the_real_ones() -> None:
    for path, keys in tables(settings.Settings, ""):
        for key, default in keys.items():
            said = documented()[path][key]
            if said.startswith("`"):
                written = tomllib.loads(f"x = {said.strip('`')}")["x"]
                assert written == as_json(default), f"[{path}] {key}"
            elif said == "-":
                assert default is None or default is NODEFAULT, f"[{path}] {key}"
            else:
                assert isinstance(default, Struct), f"[{path}] {key}: {said}"


def test_the_schema_is_up_to_date() -> None:
    written = msgspec.json.decode((ROOT / "docs" / "octoplex.schema.json").read_bytes())
    assert written == as_json(settings.schema()), "run `make schema`"


def test_the_schema_knows_the_same_keys() -> None:
    schema = settings.schema()
    names = {"providers": "Provider", "models": "ModelTable", "keys": "Key", "local": "Local"}
    names |= {"tenants": "TenantTable", "experiments": "Experiment"}
    names |= {"agents": "AgentTable", "mcp": "McpTable"}
    for path, keys in tables(settings.Settings, ""):
        if re.fullmatch(r"\w+\.NAME", path):
            table = schema["$defs"][names[path.split(".")[0]]]
            assert set(table["properties"]) == set(keys)
            teams = {"$ref": "#/$defs/Team"}
            assert table["additionalProperties"] == (teams if path == "tenants.NAME" else False)
    assert "null" not in msgspec.json.encode(schema).decode()


EXAMPLES = [
    pytest.param(block, id=f"{name(path)}:{number}")
    for path in PAGES
    for number, block in enumerate(fenced(path.read_text(), "toml"))
]


@pytest.mark.parametrize("block", EXAMPLES)
def test_examples_are_valid_configurations(block: str, tmp_path: Path) -> None:
    async def compiled() -> None:
        sketch = Sketch(ENV, tmp_path)
        parsed = settings.parse(block)
        assert sketch.plan(parsed).routes
        assert sketch.keys(parsed)

    asyncio.run(compiled())


def test_variables_named_for_providers_are_theirs() -> None:
    known = {v for row in providers().values() for v in (*row.key_env, row.base_url_env)}
    named = set(re.findall(r"`([A-Z]+_(?:API_KEY|BASE_URL|HOST))`", page("docs/configuration.md")))
    assert named - {"OCTOPLEX_API_KEY"} <= known
    assert '"OCTOPLEX_API_KEY"' in SOURCES


# -- commands and programs --------------------------------------------------------------------


def command_lines() -> list[str]:
    blocks = [b for p in PAGES for b in fenced(p.read_text(), "sh")]
    lines = [line.split("  #")[0].strip() for b in blocks for line in b.splitlines()]
    quoted = [q for p in PAGES for q in re.findall(r"`((?:octoplex|make) [^`\n]+)`", p.read_text())]
    indented = [
        line.split("  #")[0].strip()
        for p in PAGES
        for line in re.findall(r"^    (make .+)$", p.read_text(), re.MULTILINE)
    ]
    return sorted({*lines, *quoted, *indented})


@pytest.mark.parametrize("line", [c for c in command_lines() if c.startswith("make ")])
def test_make_targets_exist(line: str) -> None:
    targets = re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE)
    wanted = [word for word in line.split()[1:] if "=" not in word]
    assert set(wanted) <= set(targets)


@pytest.mark.parametrize("line", [c for c in command_lines() if c.startswith("octoplex ")])
def test_commands_and_their_options_exist(line: str) -> None:
    command: click.Command = main
    ours = line.partition(" | ")[0].partition(" -- ")[0]  # then come another program's words
    for word in shlex.split(ours)[1:]:
        if isinstance(command, click.Group):
            inner = command.get_command(click.Context(command), word)
            if inner is not None:
                command = inner
                continue
        options = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        assert word == "-" or not word.startswith("-") or word in options, f"{line}: {word}"
    assert command is not main, line


@pytest.mark.parametrize("block", [b for p in PAGES for b in fenced(p.read_text(), "python")])
def test_snippets_are_python_and_import_what_exists(block: str) -> None:
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                assert hasattr(importlib.import_module(node.module), alias.name)


# -- words and figures ------------------------------------------------------------------------


def names_in(file: Path) -> set[str]:
    """What a module defines: classes, functions, methods as `Class.method`, names, fields."""
    found: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        found |= {getattr(node, "name", "")}
        found |= {t.id for t in getattr(node, "targets", ()) if isinstance(t, ast.Name)}
        for inner in getattr(node, "body", ()):
            if isinstance(node, ast.ClassDef):
                label = getattr(inner, "name", getattr(getattr(inner, "target", None), "id", ""))
                found |= {label, f"{node.name}.{label}"}
    return found


def test_the_glossary_is_in_the_code() -> None:
    words = list(rows(section(page("ARCHITECTURE.md"), "## Glossary")))
    for word, _, where in words:
        label, file = re.fullmatch(r"`(\w+)` in `([\w/.]+)`", where).groups()  # type: ignore[union-attr]
        assert label in names_in(HOUSE / file), word
    assert [w[0] for w in words] == sorted({w[0] for w in words})


def test_the_journey_names_functions_that_exist() -> None:
    steps = list(rows(section(page("ARCHITECTURE.md"), "## The journey of one request")))
    assert len(steps) >= 9
    for _, function, file, _ in steps:
        assert function.strip("`") in names_in(HOUSE / file.strip("`")), function


def test_the_floor_plan_is_the_house_tests() -> None:
    drawn: dict[str, set[str]] = {}
    for room, _, may in rows(section(page("ARCHITECTURE.md"), "## The floor plan")):
        above = set(drawn) if may.startswith("all above") else set(may.split(", ")) - {"nothing"}
        drawn[room.strip("`")] = above - set(may.partition(" but ")[2].split())
    assert drawn == MAY_IMPORT


@pytest.mark.parametrize("path", ["README.md", "ARCHITECTURE.md", "SECURITY.md"])
def test_measured_figures_stand_where_they_were_measured(path: str) -> None:
    """The front page has none but the bench's; the others only those of code and decisions."""
    decisions = [p.read_text() for p in (ROOT / "docs" / "decisions").glob("*.md")]
    sources = page("bench/README.md")
    if path != "README.md":
        sources += SOURCES + "".join(decisions)
    unit = r"(?:us|µs|ms|kB|MB|GB|%|x|times|req/s|rps|tok/s|requests per second)"
    for figure in re.findall(rf"(\d[\d.,-]*) ?{unit}(?!\w)", page(path)):
        assert re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d])", sources), figure


def test_headers_of_the_contracts_are_written_somewhere() -> None:
    for row in rows(section(page("docs/contracts.md"), "## Shapes")):
        for header in re.findall(r"`([a-z-]+)\*?`", row[0]):
            assert header in SOURCES, header


def test_the_changelog_has_this_version() -> None:
    version = tomllib.loads(page("pyproject.toml"))["project"]["version"]
    assert f"## [{version}]" in page("CHANGELOG.md")


def test_the_dependencies_are_those_of_the_project() -> None:
    project = tomllib.loads(page("pyproject.toml"))
    text = page("docs/decisions/dependencies.md")
    said = {row[0]: row[1].strip("`") for row in rows(section(text, "## At run time"))}
    needed = [need.split(";")[0] for need in project["project"]["dependencies"]]
    assert {f"{package}{bound}" for package, bound in said.items()} == set(needed)
    tools = " ".join(row[0] for row in rows(section(text, "## For development")))
    for need in project["dependency-groups"]["dev"]:
        assert re.split(r"[<>=]", need)[0] in re.split(r"[ ,]+", tools), need
