"""A configuration as it may be shown, and what another says otherwise, by the file's own names.

Secrets are references, which may be seen. What stands in the place of one and is none is masked,
and so is what a URL holds beside its host: some are secrets as a whole.
"""

import re
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import to_builtins

from octoplex.settings import Settings
from octoplex.upstreams.configured import REFERENCES
from octoplex.wire.redact import MASK, is_credential, redact

NOTHING = object()
WHOLE = "webhook"
"""The key of a URL whose path may be a secret."""
GUARD = "guard"
"""The table whose keys name kinds of secrets, and hold none."""

_URL = re.compile(r"([a-z][a-z0-9+.-]*://)(?:[^/@]*@)?([^/?#]*)([^?#]*)(.*)", re.DOTALL)


def settings_shown(settings: Settings) -> dict[str, Any]:
    """The settings as a tree without secrets."""
    tree: dict[str, Any] = _masked("", to_builtins(settings, str_keys=True))
    return tree


def digest(settings: Settings) -> str:
    """What tells one configuration from another: SHA-256, the first 16 figures."""
    tree = to_builtins(settings, str_keys=True)
    return sha256(msgspec.json.encode(tree, order="deterministic")).hexdigest()[:16]


def _masked(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _masked(f"{key}.{name}", inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        words = zip(["", *value], value, strict=False)
        return [MASK if _asks(before) else _masked(key, inner) for before, inner in words]
    if not isinstance(value, str) or not value or value.startswith(REFERENCES):
        return value
    parts = key.split(".")
    if is_credential(parts[-1]) and GUARD not in parts:
        return MASK
    found = _URL.fullmatch(value)
    if found is None:
        return redact(value)
    scheme, host, path, more = found.groups()
    path = f"/{MASK}" if parts[-1] == WHOLE and len(path) > 1 else path
    return f"{scheme}{host}{path}{f'?{MASK}' if more else ''}"


def _asks(word: Any) -> bool:
    """Whether the next word of a command is a secret: `--api-key`."""
    return isinstance(word, str) and word.startswith("-") and is_credential(word)


def difference(old: Settings, new: Settings) -> list[dict[str, Any]]:
    """`{"key": "models.main.try", "before": ..., "after": ...}` of each, None for what is not."""
    before, after = to_builtins(old, str_keys=True), to_builtins(new, str_keys=True)
    for tree in (before, after):
        tree.pop("origin", None)
    found: list[dict[str, Any]] = []
    _walk("", before, after, found)
    return found


def _walk(key: str, before: Any, after: Any, found: list[dict[str, Any]]) -> None:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after}):
            inner = f"{key}.{name}".lstrip(".")
            _walk(inner, before.get(name, NOTHING), after.get(name, NOTHING), found)
    elif before != after:
        said = [None if side is NOTHING else _masked(key, side) for side in (before, after)]
        found.append({"key": key, "before": said[0], "after": said[1]})
