"""Images, documents and audio as Converse's content blocks.

Bytes travel as base64, or lie in S3 (`s3://`); any other address the API does not fetch.
A document needs a name of few kinds of characters, different from that of every other
document of the request: it is made of the title, and numbered where it comes again.

Reference: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html,
API_runtime_ImageBlock.html and API_runtime_AudioBlock.html beside it
"""

import re

from octoplex.dialects.expression import Omissions
from octoplex.dialects.media import source_of
from octoplex.dialects.media_types import media_type_of
from octoplex.wire.chat import Media

Body = dict[str, object]

_OFFICE = "application/vnd.openxmlformats-officedocument."
_FORMATS: dict[str, dict[str, str]] = {
    "image": {f"image/{name}": name for name in ("png", "jpeg", "gif", "webp")}
    | {"image/jpg": "jpeg"},
    "document": {
        "application/pdf": "pdf",
        "text/csv": "csv",
        "application/msword": "doc",
        f"{_OFFICE}wordprocessingml.document": "docx",
        "application/vnd.ms-excel": "xls",
        f"{_OFFICE}spreadsheetml.sheet": "xlsx",
        "text/html": "html",
        "text/plain": "txt",
        "text/markdown": "md",
    },
    "audio": {
        "audio/wav": "wav",
        "audio/x-wav": "wav",
        "audio/wave": "wav",
        "audio/mpeg": "mp3",
        "audio/mp3": "mp3",
        "audio/flac": "flac",
        "audio/ogg": "ogg",
        "audio/aac": "aac",
        "audio/webm": "webm",
    },
}
_SUFFIX = re.compile(r"\.([a-z0-9]{2,4})$", re.IGNORECASE)
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9()\[\]-]+")
_LONGEST_NAME = 180


class Names:
    """The names of one request's documents."""

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def give(self, title: str | None) -> str:
        """A name for the next document."""
        name = _NOT_IN_NAME.sub(" ", title or "").strip()[:_LONGEST_NAME].rstrip() or "document"
        number = self._given[name] = self._given.get(name, 0) + 1
        return name if number == 1 else f"{name} {number}"


def media_block(media: Media, names: Names, omissions: Omissions) -> Body | None:
    """Write one; None when it had to be left out.

    Raises:
        Unsupported: it cannot be expressed.
    """
    if media.detail is not None:
        omissions.leave_out("image.detail")
    source: Body | None = None
    if media.url is not None and media.url.startswith("s3://"):
        source, format_ = {"s3Location": {"uri": media.url}}, _format_at(media)
    else:
        format_ = _FORMATS[media.kind].get(media_type_of(media))
        if media.data is not None:
            source = {"bytes": media.data}
    if source is None or format_ is None:
        omissions.leave_out(f"{media.kind}.{source_of(media)}", why=media.media_type or "")
        return None
    block: Body = {"format": format_, "source": source}
    if media.kind == "document":
        block["name"] = names.give(media.title)
    return {media.kind: block}


def _format_at(media: Media) -> str | None:
    """The format of what lies in S3: as the caller says, else as its name ends."""
    known = _FORMATS[media.kind]
    found = _SUFFIX.search(media.url or "")
    suffix = found[1].lower().replace("jpg", "jpeg") if found else ""
    return known.get(media.media_type or "") or (suffix if suffix in known.values() else None)
