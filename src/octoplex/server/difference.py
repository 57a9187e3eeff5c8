"""What one configuration says otherwise than another: key by key, by the file's own names."""

from typing import Any

from msgspec import to_builtins

from octoplex.settings import Settings

NOTHING = object()


def difference(old: Settings, new: Settings) -> list[dict[str, Any]]:
    """`{"key": "models.main.try", "before": ..., "after": ...}` for each; None where there is none.

    Secrets are references in both, so nothing here is one.
    """
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
        said = [None if side is NOTHING else side for side in (before, after)]
        found.append({"key": key, "before": said[0], "after": said[1]})
