"""Which media at an address a target must be sent as bytes.

A dialect that has a word for the bytes of a kind of media and none for its address
(`SPOKEN`) needs them, wherever the address leads over HTTP. An address in a provider's own
storage (`s3://`, `gs://`, Gemini's files) stays what it is: nobody else can read it.

Gemini fetches documents and images from anywhere, from its 2.5 generation on, but no audio.

Reference: https://ai.google.dev/gemini-api/docs/file-input-methods

A provider with the quirk `no_media_urls` fetches nothing, whatever its dialect can name.

Not promised: that every other provider of a dialect fetches what the dialect can name.
"""

import re

from octoplex.dialects.expression import says
from octoplex.wire.chat import Media

NO_MEDIA_URLS = "no_media_urls"
_GOOGLES = re.compile(
    r"https://(generativelanguage\.googleapis\.com/|(www\.)?youtube\.com/|youtu\.be/)",
    re.IGNORECASE,
)
_CANNOT_FETCH = re.compile(r"gemini-(1|2\.0)\b")


def needs_bytes(dialect: str, model: str, media: Media, *, fetches: bool = True) -> bool:
    """Whether a target of this dialect must be sent the bytes in place of the address.

    `fetches`: the provider gets itself what its dialect can name.
    """
    if media.url is None or not says(dialect, f"{media.kind}.data"):
        return False
    scheme = media.url[:8].partition(":")[0].lower()
    if scheme == "data":
        return True
    if scheme not in ("https", "http"):
        return False
    if dialect == "gemini" and not _GOOGLES.match(media.url):
        return media.kind == "audio" or _CANNOT_FETCH.search(model.lower()) is not None
    return not (fetches and says(dialect, f"{media.kind}.url"))
