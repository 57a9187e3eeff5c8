"""What every gateway says of an endpoint: headers, signatures, projects, regions."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from octoplex.cli.importing.draft import Draft
from octoplex.cli.importing.endpoints import region_of
from octoplex.cli.importing.given import Given

SHOWN = frozenset({"anthropic-beta", "openai-beta", "openai-project", "http-referer", "x-title"})
"""Headers whose values are no secrets; any other value becomes a reference."""
NAME = re.compile(r"[a-z0-9][a-z0-9:.\-]{1,60}")
"""A project, or whatever else an account is named by."""


def headers(draft: Draft, given: Given) -> dict[str, str]:
    """A table of request headers."""
    found: dict[str, str] = {}
    for name in given.names():
        text = given.text(name)
        found |= draft.header(name, text, given.at(name), SHOWN) if text else {}
    return found


def signing(draft: Draft, given: Given, variables: Mapping[str, str]) -> None:
    """Keys of AWS, which here are where AWS's own tools have them."""
    for key, variable in variables.items():
        text = given.text(key)
        if text and text != "sdk" and draft.variable_in(text) != variable:
            draft.to_set(given.at(key), f"set {variable} to what this holds: it signs requests.")


def project(draft: Draft, given: Given, key: str) -> None:
    """The project that pays at Google."""
    name = draft.plain(given.text(key))
    shown = f"={name}" if NAME.fullmatch(name) else ""
    if key in given:
        draft.to_set(given.at(key), f"set GOOGLE_CLOUD_PROJECT{shown}: one project pays for all.")


def region(draft: Draft, row: str, given: Given, key: str) -> str:
    """A region of a row; "" where none is said, or none that is known."""
    name = draft.plain(given.text(key))
    known = region_of(row, name)
    if key in given and not known and name != "sdk":
        draft.to_set(given.at(key), "no region of that name is known: set it in the table.")
    return known


def host_of(base_url: str) -> str:
    """A server's name as a table can have it: `llm-internal-8000`."""
    parts = urlsplit(base_url)
    return (parts.hostname or "").replace(".", "-") + (f"-{parts.port}" if parts.port else "")


def is_openai(base_url: str) -> bool:
    """Whether an address is OpenAI's own, in any of its regions."""
    host = urlsplit(base_url).hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")
