"""What the guard finds, judged on labelled text, and what looking costs.

    python -m bench.guard DIR      every *.jsonl in DIR, one object a line:
                                   {"text", "spans": [{"start", "end", "type"}], "injection": bool}

A labelled span is found when a finding of its type covers half of it. A finding is right when a
labelled span of its name, found or not, overlaps it. Which names mean the same: `OTHER_NAMES` and
`like`. A text without spans and without injection is clean: the share of those with any finding
is the false-positive rate, by type under `alarms`. Then the cost: of text that is repeated, written
here, and of new text (`guard_cost.py`), which alone says what users pay.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bench.guard_cost import costs
from octoplex.reflex.guard.finding import Finding
from octoplex.reflex.guard.scan import Detector, patterns

ASCII = (
    "The committee met on Tuesday to talk about the budget for the coming year. Most members "
    "agreed that the library should stay open longer, but nobody could say who would pay for it. "
    "In the end they asked for a report, which is due before the summer. See the notes for more. "
)
MIXED = (
    "Der Ausschuss tagte am Dienstag über das Budget für das nächste Jahr. Été après été, la "
    "bibliothèque reste ouverte — «plus longtemps», dit-on… Комитет собрался во вторник, чтобы "
    "обсудить бюджет. 委员会星期二开会讨论了明年的预算。위원회는 화요일에 모였다. "
)
DIRTY = (
    "Write to ana.lopez@acme.example or call +44 20 7946 0958; the card is 4111 1111 1111 1111, "
    "the IBAN DE89 3704 0044 0532 0130 00, and the host 203.0.113.42. Born on March 12, 1990. "
)
BEST_OF = 30
OTHER_NAMES = {"google_api_key": "google_key", "aws_access_key_id": "aws_key_id"}
"""What sets call a type, and what the guard does."""
ACCOUNT_FILE = "gcp_service_account"
SECRET_TYPES = {p.type for p in patterns(["secret"])} | {ACCOUNT_FILE}
STATES = frozenset({"national_id", "tax_id"})
"""Laws differ: one found as the other is found."""


def microseconds(detector: Detector, text: str) -> float:
    """Of CPU per KB of UTF-8, the best of several passes over 16 KB."""
    text = text * (16 * 1024 // len(text.encode()) + 1)
    kilobytes = len(text.encode()) / 1024
    best = float("inf")
    for _ in range(BEST_OF):
        begun = time.perf_counter()
        detector.find(text)
        best = min(best, time.perf_counter() - begun)
    return best * 1e6 / kilobytes


class Tally:
    """Counts over all texts, by type."""

    def __init__(self) -> None:
        self.labelled: Counter[str] = Counter()
        self.hit: Counter[str] = Counter()
        self.given: Counter[str] = Counter()
        self.right: Counter[str] = Counter()
        self.alarms: Counter[str] = Counter()
        """Clean texts with a finding, by type."""
        self.clean = self.flagged = 0
        self.wrong: list[str] = []
        self.missed: list[str] = []

    def add(self, row: dict[str, Any], findings: Sequence[Finding]) -> None:
        """Judge one text."""
        text, spans, attack = row["text"], row.get("spans", []), bool(row.get("injection"))
        for span in spans:
            self.labelled[span["type"]] += 1
            if any(covers(finding, span) for finding in findings):
                self.hit[span["type"]] += 1
            else:
                self.missed.append(
                    f"{span['type']}: {text[span['start'] : span['end']]!r} in {text!r}"
                )
        told = any(finding.kind == "injection" for finding in findings)
        if attack:
            self.labelled["injection"] += 1
            self.hit["injection"] += told
            if not told:
                self.missed.append(f"injection: {text!r}")
        if told:
            self.given["injection"] += 1
            self.right["injection"] += attack
        for finding in findings:
            if finding.kind == "injection":
                continue
            self.given[finding.type] += 1
            self.right[finding.type] += any(overlaps(finding, span) for span in spans)
        if not spans and not attack:
            self.clean += 1
            self.flagged += bool(findings)
            self.alarms.update({"injection" if f.kind == "injection" else f.type for f in findings})
            self.wrong += [f"{f.type}: {text[f.start : f.end]!r} in {text!r}" for f in findings]


def like(finding: Finding, labelled: str) -> bool:
    """Whether a finding is of a labelled type: a secret that is found as another one is found."""
    if finding.kind == "secret":
        return labelled in SECRET_TYPES
    return finding.type == labelled or {finding.type, labelled} <= STATES


def overlaps(finding: Finding, span: dict[str, Any]) -> bool:
    """Whether they share a character and a type."""
    shared = min(finding.end, span["end"]) - max(finding.start, span["start"])
    return shared > 0 and like(finding, span["type"])


def covers(finding: Finding, span: dict[str, Any]) -> bool:
    """Whether it is of its type and over half of it, of an account's file over its key."""
    shared = min(finding.end, span["end"]) - max(finding.start, span["start"])
    half = 2 * shared >= span["end"] - span["start"]
    inside = span["type"] == ACCOUNT_FILE and shared > 0
    return (half or inside) and like(finding, span["type"])


def share(part: int, whole: int) -> str:
    """In percent."""
    return f"{100 * part / whole:6.1f} %" if whole else "       -"


def table(tally: Tally) -> Iterable[str]:
    """A row per type that was labelled or found."""
    yield f"{'type':24}{'spans':>7}{'recall':>10}{'findings':>10}{'precision':>11}{'alarms':>10}"
    for name in sorted(tally.labelled | tally.given):
        spans, given = tally.labelled[name], tally.given[name]
        recall, precision = share(tally.hit[name], spans), share(tally.right[name], given)
        alarms = share(tally.alarms[name], tally.clean)
        yield f"{name:24}{spans:7}{recall:>10}{given:10}{precision:>11}{alarms:>10}"
    injected = tally.labelled["injection"]
    spans = tally.labelled.total() - injected
    hits = tally.hit.total() - tally.hit["injection"]
    yield f"{'all spans':24}{spans:7}{share(hits, spans):>10}"
    rate = share(tally.flagged, tally.clean)
    yield f"clean texts {tally.clean}, with a finding {tally.flagged}: {rate.strip()}"


class Row(Struct):
    """A line, as whoever wrote the set gives it."""

    text: str
    spans: list[dict[str, Any]] = []
    injection: bool = False


def rows(path: Path) -> Iterable[dict[str, Any]]:
    """The objects of one file.

    Raises:
        SystemExit: naming the line that is none.
    """
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if line.strip():
            try:
                row = msgspec.json.decode(line, type=Row)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise SystemExit(f"{path}, line {number}: {error}") from None
            for span in row.spans:
                span["type"] = OTHER_NAMES.get(span["type"], span["type"])
            yield msgspec.structs.asdict(row)


def judge(detector: Detector, files: Sequence[Path]) -> Tally:
    """Scan and judge files, each text on its own."""
    tally = Tally()
    for path in files:
        for row in rows(path):
            tally.add(row, detector.find(row["text"]))
    return tally


def main() -> None:
    """Print tables per file and over all, then the cost."""
    parser = argparse.ArgumentParser(prog="python -m bench.guard", description=__doc__)
    parser.add_argument("dir", nargs="?", type=Path, help="folder of *.jsonl")
    parser.add_argument("--list", action="store_true", help="print what was missed or wrong")
    options = parser.parse_args()
    detector = Detector(patterns())
    files = sorted(options.dir.glob("*.jsonl")) if options.dir else []
    if options.dir and not files:
        parser.error(f"there is no *.jsonl in {options.dir}")
    for group in [[path] for path in files] + ([files] if len(files) > 1 else []):
        tally = judge(detector, group)
        print(f"\n{', '.join(path.name for path in group)}")
        print("\n".join(table(tally)))
        if options.list and group != files:
            print(
                "\n".join(
                    [*(f"missed {m}" for m in tally.missed), *(f"wrong {w}" for w in tally.wrong)]
                )
            )
    print("\nus per KB of text that is repeated")
    for name, text in (("clean ASCII", ASCII), ("clean, other", MIXED), ("dirty", DIRTY)):
        found = len(detector.find(text))
        print(f"  {name:14}{microseconds(detector, text):8.1f}   ({found} findings a sample)")
    print("\nus per KB of clean text that is new")
    print("\n".join(costs()))


if __name__ == "__main__":
    main()
