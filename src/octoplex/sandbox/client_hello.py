"""The name that a TLS client says it wants, read from its first words.

Only what it takes to find the server name (RFC 8446 section 4.1.2, RFC 6066 section 3). A hello
that hides another one inside (Encrypted Client Hello) is refused: what it shows is not what it
asks for.
"""

import struct
from collections.abc import Iterator

_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME, _HOST_NAME = 22, 1, 0, 0
_ENCRYPTED_HELLO = 0xFE0D
_FIXED = 4 + 2 + 32
_LONGEST = 1 << 17
"""No server takes a longer one."""


class NoName(Exception):
    """It is no hello, or one that names no host plainly."""


def server_name(said: bytes) -> str | None:
    """The host, lower case; None while the hello is not whole.

    Raises:
        NoName: it is something else, names none, several or a hidden one.
    """
    hello = _handshake(said)
    if hello is None:
        return None
    try:
        names = list(_names(hello))
    except (IndexError, struct.error):
        raise NoName("it breaks off") from None
    if len(names) != 1:
        raise NoName("it names no host")
    return names[0]


def may_be_hello(record: bytes) -> bool:
    """Whether a later record begins another hello, which a server may ask for (HelloRetryRequest).

    What is encrypted looks like one in one of 8 million records.
    """
    if record[0] != _HANDSHAKE:
        return False
    body = record[5:10]
    is_short = int.from_bytes(body[1:4], "big") <= _LONGEST
    return len(body) < 5 or (body[0] == _CLIENT_HELLO and is_short and body[4] == 3)


def _handshake(said: bytes) -> bytes | None:
    """The first message, put together from its records; None while it is not whole."""
    message, at = b"", 0
    while len(said) >= at + 5:
        kind, size = said[at], int.from_bytes(said[at + 3 : at + 5], "big")
        if kind != _HANDSHAKE or not size:
            raise NoName("it is not TLS")
        message += said[at + 5 : at + 5 + size]
        at += 5 + size
        if message[0:1] not in (b"", bytes((_CLIENT_HELLO,))):
            raise NoName("it is not a hello")
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            return message
    if said and said[0] != _HANDSHAKE:
        raise NoName("it is not TLS")
    return None


def _names(hello: bytes) -> Iterator[str]:
    at = _FIXED
    at += 1 + hello[at]  # session
    at += 2 + struct.unpack_from(">H", hello, at)[0]  # ciphers
    at += 1 + hello[at]  # compression
    end = at + 2 + struct.unpack_from(">H", hello, at)[0]
    at += 2
    while at + 4 <= end:
        kind, size = struct.unpack_from(">HH", hello, at)
        at += 4
        if kind == _ENCRYPTED_HELLO:
            raise NoName("it hides what it asks for")
        if kind == _SERVER_NAME:
            name_kind, name_size = struct.unpack_from(">BH", hello, at + 2)
            if name_kind != _HOST_NAME or name_size + 5 != size:
                raise NoName("it names several hosts")
            yield hello[at + 5 : at + 5 + name_size].decode("ascii", "replace").lower()
        at += size
