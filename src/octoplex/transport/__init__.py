"""Bytes to and from a provider: the pooled HTTP client, the SSE reader, the public fake."""

from octoplex.transport.fake import Fake, Script, Sent
from octoplex.transport.http import Bounds, Client, Request, Sender
from octoplex.transport.origin import NO_PROXIES, Origin, Proxies, header_block
from octoplex.transport.response import Limits, Response
from octoplex.transport.sse import Splitter, parse

__all__ = [
    "NO_PROXIES",
    "Bounds",
    "Client",
    "Fake",
    "Limits",
    "Origin",
    "Proxies",
    "Request",
    "Response",
    "Script",
    "Sender",
    "Sent",
    "Splitter",
    "header_block",
    "parse",
]
