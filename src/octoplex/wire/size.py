"""Sizes as people write them: `"32 MB"`, `"512 KiB"`, `"1048576"`."""

import re

from octoplex.wire.error import BadConfig

SIZES = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3}
SIZES |= {"kib": 1024, "mib": 1024**2, "gib": 1024**3}


def size(text: str) -> int:
    """Bytes in a text.

    Raises:
        BadConfig: it is not a size.
    """
    match = re.fullmatch(r"\s*(\d+)\s*([A-Za-z]*)\s*", text)
    if not match or match[2].lower() not in SIZES:
        raise BadConfig(f'"{text}" is not a size; write it like "32 MB" or "512 KiB".')
    return int(match[1]) * SIZES[match[2].lower()]
