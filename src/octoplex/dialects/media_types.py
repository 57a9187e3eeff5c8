"""What a piece of media is, where its caller did not say."""

from octoplex.wire.chat import Media

_MAGIC = {"iVBOR": "image/png", "/9j/": "image/jpeg", "R0lG": "image/gif", "UklG": "image/webp"}
"""How images begin in base64."""


def media_type_of(media: Media) -> str:
    """Its media type: as said, else by its first bytes; a document is taken for a PDF."""
    if media.media_type:
        return media.media_type
    if media.kind == "document":
        return "application/pdf"
    data = media.data or ""
    return next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), "image/png")
