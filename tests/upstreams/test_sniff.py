"""What fetched bytes are taken for, and what is not taken at all."""

import pytest

from octoplex.upstreams.sniff import type_of

PNG = b"\x89PNG\r\n\x1a\n....."
JPEG = b"\xff\xd8\xff\xe0.."
WAV = b"RIFF\x24\0\0\0WAVEfmt "
WEBP = b"RIFF\x24\0\0\0WEBPVP8 "
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(
    ("kind", "said", "body", "found"),
    [
        ("image", "image/png", PNG, "image/png"),
        ("image", "Image/PNG; q=1", PNG, "image/png"),
        ("image", "image/jpeg", PNG, "image/png"),  # the bytes are right
        ("image", "application/octet-stream", JPEG, "image/jpeg"),
        ("image", "", b"GIF89a..", "image/gif"),
        ("image", "image/webp", WEBP, "image/webp"),
        ("image", "image/heic", b"\0\0\0\x18ftypheic", "image/heic"),
        ("audio", "audio/mpeg", b"ID3\x04", "audio/mpeg"),
        ("audio", "audio/mpeg", b"\xff\xfb\x90\x64", "audio/mpeg"),
        ("audio", "", b"\xff\xf1\x50\x80", "audio/aac"),
        ("audio", "audio/x-wav", WAV, "audio/wav"),
        ("audio", "video/webm", b"\x1a\x45\xdf\xa3", "audio/webm"),
        ("document", "application/pdf", b"%PDF-1.7", "application/pdf"),
        ("document", "", b"%PDF-1.7", "application/pdf"),
        ("document", "text/csv; charset=utf-8", b"a,b", "text/csv"),
        ("document", "", b"plain words", "text/plain"),
        ("document", DOCX, b"PK\x03\x04...", DOCX),
        ("document", "application/msword", OLE, "application/msword"),
    ],
)  # fmt: skip
def test_types(kind: str, said: str, body: bytes, found: str) -> None:
    assert type_of(kind, said, body) == found


@pytest.mark.parametrize(
    ("kind", "said", "body"),
    [
        ("image", "text/html", PNG),
        ("image", "image/png", b"<html>"),
        ("image", "image/svg+xml", b"<svg/>"),
        ("image", "image/png", b""),
        ("image", "audio/wav", WAV),
        ("image", "", WAV),
        ("audio", "audio/wav", WEBP),
        ("audio", "application/pdf", b"%PDF-1.7"),
        ("document", "application/pdf", b"<html>log in</html>"),
        ("document", "text/plain", b"a\0b"),
        ("document", "text/plain", b"\xff\xfe\xfd"),
        ("document", "image/png", PNG),
        ("document", "application/x-msdownload", b"MZ"),
        ("document", "application/zip", b"PK\x03\x04"),
        ("document", DOCX, b"no archive"),
    ],
)
def test_what_is_no_such_media(kind: str, said: str, body: bytes) -> None:
    assert type_of(kind, said, body) is None
