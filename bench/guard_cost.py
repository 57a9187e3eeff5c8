"""What looking through new text costs: prose, sources and chat that lie on this machine.

    python -m bench.guard_cost

Repeated text is no measure: an automaton that grows while it reads has grown by then. So each
piece is read once. Cold is the first `COLD` KB that a detector sees, warm what comes after `WARM`.
Prose is what packages say of themselves and their documentation, sources are the standard
library's, chat is both in short turns; of "other" a letter in fifty is beyond ASCII. CPU time.
"""

import random
import sysconfig
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from octoplex.reflex.guard.finding import Kind
from octoplex.reflex.guard.scan import ALL, Detector, patterns

COLD, WARM, END = 200, 900, 1_500
"""KB of each kind of text."""
PIECE = 2_000
TURN = 500
"""Characters."""
SEED = 46
PATHS = sysconfig.get_paths()
PROSE = (
    (PATHS["purelib"], "**/*.md"),
    (PATHS["purelib"], "**/*.rst"),
    (PATHS["purelib"], "*.dist-info/METADATA"),
    ("/usr/share/doc", "**/*.md"),
    ("/usr/share/doc", "**/README*"),
    ("/usr/share/perl", "**/*.pod"),
)
SOURCES = ((PATHS["stdlib"], "*.py"), (PATHS["stdlib"], "[a-r]*/**/*.py"))
OTHER = (*PROSE, (PATHS["purelib"], "**/*.py"), ("/usr/share", "**/*.txt"))


def pieces(where: Iterable[tuple[str, str]], size: int, *, ascii_only: bool) -> Iterator[str]:
    """Texts of files, in an order that is always the same, no piece twice."""
    files = sorted({path for root, glob in where for path in Path(root).glob(glob)})
    random.Random(SEED).shuffle(files)
    seen: set[str] = set()
    for path in files:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        for at in range(0, min(len(text), 12 * size), size):
            piece = text[at : at + size]
            beyond = sum(map("\x7f".__lt__, piece))
            fits = beyond == 0 if ascii_only else 50 * beyond > len(piece)
            if fits and len(piece) > size // 2 and piece not in seen:
                seen.add(piece)
                yield piece


def corpora() -> dict[str, list[str]]:
    """Pieces by kind, as many as are needed."""
    return {
        "prose": _some(pieces(PROSE, PIECE, ascii_only=True)),
        "sources": _some(pieces(SOURCES, PIECE, ascii_only=True)),
        "chat": _some(_mixed()),
        "other": _some(pieces(OTHER, TURN, ascii_only=False)),
    }


def _mixed() -> Iterator[str]:
    parts = (pieces(where, TURN, ascii_only=True) for where in (PROSE, SOURCES))
    for said, code in zip(*parts, strict=False):
        yield from (said, code)


def _some(found: Iterable[str]) -> list[str]:
    taken: list[str] = []
    size = 0
    for piece in found:
        taken.append(piece)
        size += len(piece.encode())
        if size > END << 10:
            break
    return taken


def cost(detector: Detector, texts: Sequence[str]) -> tuple[float, float]:
    """Microseconds a KB of the clean ones, cold and warm; each is looked through once."""
    spent, size, read = [0.0, 0.0], [1e-9, 1e-9], 0.0
    for text in texts:
        begun = time.thread_time()
        found = detector.find(text)
        took, kilobytes = time.thread_time() - begun, len(text.encode()) / 1024
        phase = 0 if read < COLD else 1
        if not found and (phase == 0 or read > WARM):
            spent[phase] += took
            size[phase] += kilobytes
        read += kilobytes
    return spent[0] * 1e6 / size[0], spent[1] * 1e6 / size[1]


def costs() -> Iterator[str]:
    """A table: kinds of text, and what is looked for."""
    texts = corpora()
    asked: dict[str, tuple[Kind, ...]] = {"pii, secrets": ("pii", "secret"), "all": ALL}
    yield f"  {'':10}" + "".join(f"{name + ' cold':>20}{'warm':>8}" for name in asked)
    for kind, corpus in texts.items():
        row = f"  {kind:10}"
        for kinds in asked.values():
            cold, warm = cost(Detector(patterns(kinds)), corpus)
            row += f"{cold:20.1f}" + (f"{warm:8.1f}" if warm else f"{'-':>8}")
        yield row


if __name__ == "__main__":
    print("\n".join(costs()))
