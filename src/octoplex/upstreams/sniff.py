"""What fetched bytes are: as their server says, and as they begin.

A type must be on the list of its kind (image, document, audio), and the bytes must begin as
that kind's do. Where the server names another type of the kind than the bytes show, the
bytes are right; where it names none, or says only that they are bytes, they decide alone.
Nothing is decoded: what is inside an image is for the provider to look at.

References: the WHATWG MIME Sniffing standard, and each format's own signature.

Not promised: that an Office document is the one its server says, since all of them are ZIP
archives; that a text is of its type.
"""

import re

_OFFICE = "application/vnd.openxmlformats-officedocument."
_ZIPPED = frozenset(
    {
        f"{_OFFICE}wordprocessingml.document",
        f"{_OFFICE}spreadsheetml.sheet",
        f"{_OFFICE}presentationml.presentation",
        "application/epub+zip",
    }
)
_OLD_OFFICE = frozenset(
    {"application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"}
)
_TEXTS = frozenset({"application/json", "application/xml", "application/x-yaml", "application/rtf"})
_UNSAID = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/binary"})

_BEGINNINGS: dict[str, tuple[tuple[str, re.Pattern[bytes]], ...]] = {
    "image": (
        ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
        ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
        ("image/gif", re.compile(rb"GIF8[79]a")),
        ("image/webp", re.compile(rb"RIFF....WEBP", re.DOTALL)),
        ("image/heic", re.compile(rb"....ftyp(heic|heix|hevc|hevx)", re.DOTALL)),
        ("image/heif", re.compile(rb"....ftyp(mif1|msf1)", re.DOTALL)),
        ("image/bmp", re.compile(rb"BM....\0\0\0\0", re.DOTALL)),
    ),
    "document": (("application/pdf", re.compile(rb"%PDF-")),),
    "audio": (
        ("audio/wav", re.compile(rb"RIFF....WAVE", re.DOTALL)),
        ("audio/flac", re.compile(rb"fLaC")),
        ("audio/ogg", re.compile(rb"OggS")),
        ("audio/webm", re.compile(rb"\x1a\x45\xdf\xa3")),
        ("audio/mp4", re.compile(rb"....ftyp(M4A |M4B |mp42|isom|iso2)", re.DOTALL)),
        ("audio/aiff", re.compile(rb"FORM....AIF[FC]", re.DOTALL)),
        ("audio/aac", re.compile(rb"\xff[\xf0\xf1\xf8\xf9]")),
        ("audio/mpeg", re.compile(rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")),
    ),
}
_ALSO = {
    "audio": frozenset({"video/mp4", "video/webm", "application/ogg", "application/mp4"}),
    "document": _ZIPPED | _OLD_OFFICE | _TEXTS | {"application/pdf"},
}
"""Further types that a server may give to media of a kind."""


def type_of(kind: str, said: str, body: bytes) -> str | None:
    """The media type of bytes that a server sent as `said`; None when they are no such media."""
    said = said.partition(";")[0].strip().lower()
    if said not in _UNSAID and not _is_of(kind, said):
        return None
    for name, pattern in _BEGINNINGS[kind]:
        if pattern.match(body):
            return name
    return _document(said, body) if kind == "document" else None


def _is_of(kind: str, said: str) -> bool:
    family = "text/" if kind == "document" else f"{kind}/"
    return said.startswith(family) or said in _ALSO.get(kind, ())


def _document(said: str, body: bytes) -> str | None:
    """A document without a beginning of its own: an archive as said, else text."""
    if said in _ZIPPED:
        return said if body.startswith(b"PK\x03\x04") else None
    if said in _OLD_OFFICE:
        return said if body.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") else None
    if said == "application/pdf" or b"\0" in body:
        return None
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "text/plain" if said in _UNSAID else said
