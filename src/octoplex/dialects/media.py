"""Images and documents as OpenAI's dialects have them: addresses and `data:` URLs.

Chat and Responses differ in the names around these values, not in the values.

Reference: https://developers.openai.com/api/docs/guides/file-inputs

Not promised: that what stands in a `data:` URL is of the type it says.
"""

import re

from msgspec import Raw

from octoplex.wire.chat import Media

FAILED = "[tool failed] "
"""Stands before the text of a tool result that its caller marked as an error."""

_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*?);base64,", re.IGNORECASE)
_TITLES = {"application/pdf": "document.pdf", "text/plain": "document.txt"}


def source_of(media: Media) -> str:
    """Where the bytes are: `url`, `data` or `file_id`, as the table of fields has them."""
    if media.url is not None:
        return "url"
    return "data" if media.data is not None else "file_id"


def image_url(media: Media) -> str:
    """The address of an image, a `data:` URL where it came as bytes."""
    return media.url or f"data:{media.media_type or 'image/png'};base64,{media.data}"


def file_of(media: Media) -> dict[str, object]:
    """A document that came as bytes: its name, which must be there, and a `data:` URL."""
    kind = media.media_type or "application/pdf"
    title = media.title or _TITLES.get(kind, "document")
    return {"filename": title, "file_data": f"data:{kind};base64,{media.data}"}


def read_image(url: str, detail: str | None, cache: Raw | None) -> Media:
    """The image at an address or in a `data:` URL."""
    found = _DATA_URL.match(url)
    if found is None:
        return Media(kind="image", url=url, detail=detail, cache=cache)
    data, kind = url[found.end() :], found[1] or "image/png"
    return Media(kind="image", data=data, media_type=kind, detail=detail, cache=cache)


def read_file(data: str, title: str | None, cache: Raw | None) -> Media:
    """The document in a `data:` URL, or in base64 alone, which is a PDF."""
    found = _DATA_URL.match(data)
    return Media(
        kind="document",
        data=data[found.end() :] if found else data,
        media_type=(found and found[1]) or "application/pdf",
        title=title,
        cache=cache,
    )
