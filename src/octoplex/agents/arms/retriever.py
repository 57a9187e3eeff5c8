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
from collections.abc import Iterable
from itertools import islice, zip_longest
from typing import Any, TypeVar

import msgspec

from octoplex.agents.arms.actions import Acts, Doing, short
from octoplex.agents.arms.form import INTEGER, OBJECT, TEXT, list_of, schema_of, text_of
from octoplex.agents.arms.page import text_of_page
from octoplex.agents.arms.ranking import Passage, passages, ranked
from octoplex.agents.arms.web import Web
from octoplex.agents.place import covers, place_of
from octoplex.agents.words import Evidence, Failed, Offer, Outcome
from octoplex.dialects.members import UNREADABLE

T = TypeVar("T")
MOST_BYTES = 5_000_000
"""Of a file that is read."""
MOST_ROWS = 20_000
SEARCHED, SEARCHED_FILE, SEARCHED_FILES = 20_000_000, 1_000_000, 5_000
"""Bytes and files that one search looks through."""
MOST_TEXT = 200_000
"""Characters of a page or a file that a step is given."""
_ROWS = list_of(OBJECT)
_QUERY = text_of("What is looked for.", 500)
_LIMIT = {**INTEGER, "minimum": 1, "maximum": 100}
READ = Offer(
    "retriever.read",
    "Read a file of the workspace. CSV, TSV and JSON lines give `rows` (cells of CSV are texts), "
    "JSON gives `value`, all others `text`.",
    schema_of({"path": text_of("A path below the workspace.", 4_000)}, "path"),
    schema_of(
        {"text": TEXT, "rows": _ROWS, "columns": list_of(TEXT), "value": {}, "size": INTEGER}
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
            "url": TEXT,
            "title": TEXT,
            "text": TEXT,
            "value": {"description": "Of a JSON document."},
            "hidden": {**INTEGER, "description": "Pieces that people would not see."},
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
    schema_of({"id": TEXT}),
    effect="repeatable",
    needs=("memory:write",),
)


def retriever(web: Web) -> Acts:
    """The retriever."""

    async def fetch(doing: Doing) -> Outcome:
        return await _fetch(doing, web)

    asked = ((READ, _read), (SEARCH, _search), (WEB, fetch), (MEMORY, _find))
    return (*asked, (REMEMBER, _remember))


async def _read(doing: Doing) -> Outcome:
    place = doing.place("read")
    data = await asyncio.to_thread(doing.folder.read, place, MOST_BYTES)
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
            comma = "\t" if form == "tsv" else ","
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=comma, strict=True)
            names = next(reader, [])
            rows = [
                dict(zip_longest(names, r[: len(names)], fillvalue=""))
                for r in _rows(filter(None, reader))
            ]
            return {**found, "rows": rows, "columns": list(dict.fromkeys(names))}
        if form in ("jsonl", "ndjson"):
            lines = _rows(line for line in text.split("\n") if line.strip())
            return {**found, "rows": [msgspec.json.decode(line) for line in lines]}
        if form == "json":
            return {**found, "value": msgspec.json.decode(text)}
    except UnicodeDecodeError:
        raise Failed("failed", f'"{place}" is no text; read it with Python.') from None
    except (*UNREADABLE, csv.Error) as error:
        raise Failed("failed", f'"{place}" is no {form.upper()}: {error}.') from None
    if form in ("html", "htm", "xhtml"):
        text = text_of_page(text).text
    return {**found, "text": short(text, MOST_TEXT)}


def _rows(found: Iterable[T]) -> list[T]:
    """All of them: a part would pass for the whole. Raises `Failed`: there are too many."""
    rows = list(islice(found, MOST_ROWS + 1))
    if len(rows) > MOST_ROWS:
        raise Failed("failed", f"The table has more than {MOST_ROWS:,} rows; use Python.")
    return rows


async def _search(doing: Doing) -> Outcome:
    inputs = doing.inputs
    within = place_of(inputs.get("path", ""))
    found = await asyncio.to_thread(_looked_through, doing, within)
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


def _looked_through(doing: Doing, within: str) -> list[Passage]:
    """The passages of all files of text that may be read."""
    found: list[Passage] = []
    left, files, own = SEARCHED, 0, doing.grant.readable
    for path, (size, _, _) in doing.folder.state().items():
        if size > min(SEARCHED_FILE, left) or not covers(within, path):
            continue
        if not any(covers(one, path) for one in own):
            continue
        try:
            text = doing.folder.read(path, SEARCHED_FILE).decode("utf-8")
        except (Failed, UnicodeDecodeError):  # it went away, or is no text
            continue
        left, files = left - size, files + 1
        found += passages(path, text)
        if files == SEARCHED_FILES:
            break
    return found


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
    with contextlib.suppress(*UNREADABLE):
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
