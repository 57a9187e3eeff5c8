"""The retriever: files of the workspace, pages of allowed hosts, and what is remembered.

    retriever.read      {"path": "sales.csv"}       -> {"rows": [{"month": "May", ...}], ...}
    retriever.search    {"query": "sales in May"}   -> {"results": [{"path", "line", "text"}]}
    retriever.web       {"url": "https://..."}      -> {"title", "text", ...}
    retriever.memory    {"query": "..."}            -> {"facts": [...]}
    retriever.remember  {"text": "..."}             -> {"id": "..."}

Whatever is found may be by anybody, so the step's outcome is untrusted; a guard looks at what
comes from the web and at the URL that goes there.
"""

import asyncio
import contextlib
import csv
import io
from collections.abc import Iterator
from typing import Any

import msgspec

from octoplex.agents.arms.actions import Actions, Doing, schema_of, short, text_of
from octoplex.agents.arms.folder import Folder
from octoplex.agents.arms.page import text_of_page
from octoplex.agents.arms.ranking import Passage, passages, ranked
from octoplex.agents.arms.web import Web
from octoplex.agents.capability import Checker, Grant
from octoplex.agents.place import place_of
from octoplex.agents.words import Evidence, Failed, Offer, Outcome

MOST_BYTES = 5_000_000
"""Of a file that is read."""
MOST_ROWS = 20_000
SEARCHED, SEARCHED_FILE, SEARCHED_FILES = 20_000_000, 1_000_000, 5_000
"""Bytes and files that one search looks through."""
MOST_TEXT = 200_000
"""Characters of a page or a file that a step is given."""
_ROWS = {"type": "array", "items": {"type": "object"}}
_QUERY = text_of("What is looked for.", 500)
_LIMIT = {"type": "integer", "minimum": 1, "maximum": 100}
READ = Offer(
    "retriever.read",
    "Read a file of the workspace. CSV, TSV and JSON lines give `rows` (cells of CSV are texts), "
    "JSON gives `value`, all others `text`.",
    schema_of({"path": text_of("A path below the workspace.", 4_000)}, "path"),
    schema_of(
        {
            "text": {"type": "string"},
            "rows": _ROWS,
            "columns": {"type": "array", "items": {"type": "string"}},
            "value": {},
            "size": {"type": "integer"},
        }
    ),
    needs=("read:workspace/{path}",),
    brings_untrusted=True,
)
SEARCH = Offer(
    "retriever.search",
    "Find passages of the workspace's files that have the words of a question.",
    schema_of(
        {"query": _QUERY, "limit": _LIMIT, "path": text_of("A folder to look in.", 4_000)}, "query"
    ),
    schema_of({"results": _ROWS}),
    needs=("read:workspace?",),
    brings_untrusted=True,
)
WEB = Offer(
    "retriever.web",
    "Fetch a page or a document of text from an allowed host.",
    schema_of({"url": text_of("https://HOST/PATH", 4_000)}, "url"),
    schema_of(
        {
            "url": {"type": "string"},
            "title": {"type": "string"},
            "text": {"type": "string"},
            "value": {"description": "Of a JSON document."},
            "hidden": {"type": "integer", "description": "Pieces that people would not see."},
        }
    ),
    needs=("net:*",),
    brings_untrusted=True,
)
MEMORY = Offer(
    "retriever.memory",
    "Find what earlier tasks and conversations have left.",
    schema_of({"query": _QUERY, "limit": _LIMIT}, "query"),
    schema_of({"facts": _ROWS}),
    needs=("memory:read",),
    brings_untrusted=True,
)
REMEMBER = Offer(
    "retriever.remember",
    "Keep a fact for later tasks.",
    schema_of({"text": text_of("The fact, in one or two sentences.", 4_000)}, "text"),
    schema_of({"id": {"type": "string"}}),
    effect="repeatable",
    needs=("memory:write",),
)


def retriever_arm(web: Web, checker: Checker | None = None) -> Actions:
    """The retriever."""

    async def fetch(doing: Doing) -> Outcome:
        return await _fetch(doing, web)

    actions = [
        (READ, _read),
        (SEARCH, _search),
        (WEB, fetch),
        (MEMORY, _find),
        (REMEMBER, _remember),
    ]
    return Actions(actions, checker)


async def _read(doing: Doing) -> Outcome:
    place = place_of(doing.inputs["path"])
    doing.grant.need(f"read:workspace/{place}")
    folder = Folder(doing.world.workspace)
    data = await asyncio.to_thread(folder.read, place, MOST_BYTES)
    output = await asyncio.to_thread(_understood, place, data)
    text = output.get("text") or msgspec.json.encode(output).decode()
    return Outcome(
        output=output, text=short(text), evidence=(Evidence("source", place),), is_untrusted=True
    )


def _understood(place: str, data: bytes) -> dict[str, Any]:
    """A file by the form that its name says.

    Raises:
        Failed: it is not of that form, or no text.
    """
    form = place.rpartition(".")[2].lower()
    found: dict[str, Any] = {"size": len(data)}
    try:
        text = data.decode("utf-8-sig")
        if form in ("csv", "tsv"):
            rows = list(_table(text, "\t" if form == "tsv" else ","))
            return {**found, "rows": rows, "columns": list(rows[0]) if rows else []}
        if form in ("jsonl", "ndjson"):
            lines = [line for line in text.splitlines() if line.strip()]
            return {**found, "rows": [msgspec.json.decode(line) for line in lines[:MOST_ROWS]]}
        if form == "json":
            return {**found, "value": msgspec.json.decode(text)}
    except UnicodeDecodeError:
        raise Failed("failed", f'"{place}" is no text; read it with Python.') from None
    except (msgspec.DecodeError, csv.Error) as error:
        raise Failed("failed", f'"{place}" is no {form.upper()}: {error}.') from None
    if form in ("html", "htm", "xhtml"):
        text = text_of_page(text).text
    return {**found, "text": short(text, MOST_TEXT)}


def _table(text: str, comma: str) -> Iterator[dict[str, str]]:
    """The rows of a table, by the names of its columns; cells beyond these are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=comma, strict=True)
    names = next(reader, [])
    for row in reader:
        if reader.line_num > MOST_ROWS:
            raise Failed("failed", f"The table has more than {MOST_ROWS:,} rows; use Python.")
        if row:
            yield dict(zip(names, [*row, *[""] * (len(names) - len(row))], strict=False))


async def _search(doing: Doing) -> Outcome:
    inputs = doing.inputs
    within = place_of(inputs.get("path", ""))
    found = await asyncio.to_thread(_looked_through, Folder(doing.world.workspace), doing, within)
    best = ranked(inputs["query"], found, inputs.get("limit", 10))
    results = [
        {"path": one.path, "line": one.line, "text": one.text, "score": round(score, 3)}
        for score, one in best
    ]
    text = "\n\n".join(f"{r['path']}:{r['line']}\n{r['text']}" for r in results)
    sources = dict.fromkeys(str(r["path"]) for r in results)
    return Outcome(
        output={"results": results},
        text=short(text) or "Nothing was found.",
        evidence=tuple(Evidence("source", path) for path in sources),
        is_untrusted=True,
    )


def _looked_through(folder: Folder, doing: Doing, within: str) -> list[Passage]:
    """The passages of all files of text that may be read."""
    found: list[Passage] = []
    left, files = SEARCHED, 0
    for path, (size, _, _) in folder.state().items():
        if size > min(SEARCHED_FILE, left) or not _may_look(path, within, doing.grant):
            continue
        try:
            text = folder.read(path, SEARCHED_FILE).decode("utf-8")
        except (Failed, UnicodeDecodeError):  # it went away, or is no text
            continue
        left, files = left - size, files + 1
        found += passages(path, text)
        if files == SEARCHED_FILES:
            break
    return found


def _may_look(path: str, within: str, grant: Grant) -> bool:
    if within and not path.startswith(f"{within}/"):
        return False
    return any(
        not own or path == own or path.startswith(f"{own}/")
        for own in (*grant.of("read"), *grant.of("write"))
    )


async def _fetch(doing: Doing, web: Web) -> Outcome:
    url, screen = doing.inputs["url"], doing.world.screen
    if screen is not None and await screen(url, "out") != url:
        raise Failed("refused", "The URL holds what must not leave.")
    await doing.tell(url)
    page = await web.fetch(url, doing.grant, doing.order.seconds)
    text = short(page.text, MOST_TEXT)
    if screen is not None:
        text = await screen(text, "in")
    output = {"url": page.url, "title": page.title, "text": text, "hidden": page.hidden}
    with contextlib.suppress(msgspec.DecodeError):
        output["value"] = msgspec.json.decode(text)
    return Outcome(
        output=output,
        text=short(text),
        evidence=(Evidence("source", page.url, page.status),),
        is_untrusted=True,
    )


async def _find(doing: Doing) -> Outcome:
    memory = doing.world.memory
    if memory is None:
        raise Failed("failed", "There is no memory here.")
    facts = [
        dict(one)
        for one in await memory.find(doing.inputs["query"], limit=doing.inputs.get("limit", 10))
    ]
    text = "\n".join(str(one.get("text", "")) for one in facts)
    sources = dict.fromkeys(str(one.get("source", "")) for one in facts)
    return Outcome(
        output={"facts": facts},
        text=short(text) or "Nothing is known of it.",
        evidence=tuple(Evidence("source", f"memory: {one}") for one in sources),
        is_untrusted=any(one.get("is_untrusted", True) for one in facts),
    )


async def _remember(doing: Doing) -> Outcome:
    memory, order = doing.world.memory, doing.order
    if memory is None:
        raise Failed("failed", "There is no memory here.")
    kept = await memory.keep(
        doing.inputs["text"],
        source=order.key,
        step=order.step_id,
        is_untrusted=order.is_tainted,
    )
    return Outcome(output={"id": kept}, text=doing.inputs["text"])
