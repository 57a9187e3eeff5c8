"""What a tool gave, as a step's outcome. Nothing that it names is fetched (S63).

Text is made visible, character by character. Pictures and sounds become files of the workspace,
under a name of ours; links stay words. The whole is text of strangers.
"""

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from octoplex.agents.arms.folder import Folder
from octoplex.agents.mcp.signs import written_out
from octoplex.agents.words import Artifact, Failed, Outcome

MOST_TEXT = 200_000
MOST_PARTS = 64
FOLDER = "mcp"
_ENDS = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}
_ENDS |= {"audio/wav": "wav", "audio/mpeg": "mp3", "audio/ogg": "ogg"}
_WHY = 2_000

OUTPUT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "structured": {},
        "files": {"type": "array", "items": {"type": "string"}},
        "links": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["text"],
}
"""Of tools that do not say what they give."""


def outcome_of(
    result: Mapping[str, Any], tool: Mapping[str, Any], workspace: Path, step: str
) -> Outcome:
    """What came of a call.

    Raises:
        Failed: the tool says that it failed, or gave what it may not.
    """
    if result.get("resultType", "complete") != "complete":
        raise Failed("failed", "The tool asks for something more, which nobody here gives it.")
    try:
        structured = _seen(result.get("structuredContent"))
    except RecursionError:
        raise Failed("failed", "What the tool gave is nested too deeply.") from None
    parts = result.get("content")
    if not isinstance(parts, list) or len(parts) > MOST_PARTS:
        raise Failed("failed", f"The tool gave no list of at most {MOST_PARTS} parts.")
    read = _Parts(workspace, step)
    for part in parts:
        read.take(part if isinstance(part, Mapping) else {})
    text = "\n".join(read.texts)
    if len(text) > MOST_TEXT:
        raise Failed("failed", f"The tool gave more than {MOST_TEXT:,} characters; ask for less.")
    if result.get("isError"):
        raise Failed("failed", f"The tool says: {text[:_WHY] or 'that it failed'}")
    if tool.get("outputSchema") is not None:
        if structured is None:
            raise Failed("failed", "The tool gave nothing of the form that it promises.")
        output: Any = structured
    else:
        output = {"text": text}
        files = [one.path for one in read.artifacts]
        more = {"structured": structured, "files": files, "links": read.links}
        output |= {name: value for name, value in more.items() if value}
    return Outcome(output, text, tuple(read.artifacts), is_untrusted=True)


class _Parts:
    """The parts of a result, read one by one."""

    def __init__(self, workspace: Path, step: str) -> None:
        self.texts: list[str] = []
        self.links: list[dict[str, str]] = []
        self.artifacts: list[Artifact] = []
        self._folder = Folder(workspace)
        self._step = re.sub(r"[^A-Za-z0-9_-]", "_", step)[:60] or "step"

    def take(self, part: Mapping[str, Any]) -> None:
        """Read one."""
        kind = part.get("type")
        if kind == "text":
            self.texts.append(written_out(str(part.get("text") or "")))
        elif kind in ("image", "audio"):
            self._keep(str(part.get("data") or ""), str(part.get("mimeType") or ""))
        elif kind == "resource_link":
            self._link(part)
        elif kind == "resource" and isinstance(part.get("resource"), Mapping):
            self._resource(part["resource"])
        else:
            self.texts.append(f"[a part of the kind {written_out(str(kind))[:40]}, left out]")

    def _resource(self, resource: Mapping[str, Any]) -> None:
        if isinstance(resource.get("text"), str):
            self.texts.append(written_out(resource["text"]))
        elif isinstance(resource.get("blob"), str):
            self._keep(resource["blob"], str(resource.get("mimeType") or ""))
        self._link(resource)

    def _link(self, part: Mapping[str, Any]) -> None:
        named = {"uri": str(part.get("uri") or ""), "name": str(part.get("name") or "")}
        self.links.append({name: written_out(value)[:2_000] for name, value in named.items()})

    def _keep(self, encoded: str, kind: str) -> None:
        """Write a file, in the place of what an earlier attempt left there."""
        try:
            data = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise Failed("failed", "The tool gave a file that is no base64.") from None
        number = len(self.artifacts) + 1
        name = f"{FOLDER}/{self._step}-{number}.{_ENDS.get(kind.lower(), 'bin')}"
        try:
            self.artifacts.append(self._folder.write(name, data))
        except Failed as error:
            why = f"{name} cannot be written in the workspace: {error}"
            raise Failed("failed", why) from None


def _seen(tree: Any) -> Any:
    """JSON with every text visible."""
    if isinstance(tree, str):
        return written_out(tree)
    if isinstance(tree, Mapping):
        return {written_out(str(name)): _seen(value) for name, value in tree.items()}
    return [_seen(value) for value in tree] if isinstance(tree, list) else tree
