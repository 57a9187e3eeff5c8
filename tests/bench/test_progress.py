"""What a run says of itself on stderr."""

import io

from bench.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_told_of_each_step() -> None:
    at, out = [1_000.0], Terminal()
    progress = Progress(out, lambda: at[0])
    progress.say("starting go")
    at[0] += 125
    progress.say("2 of 9, round 1: go small sat, then octoplex small sat")
    assert out.getvalue() == (
        "  0:00  starting go\n  2:05  2 of 9, round 1: go small sat, then octoplex small sat\n"
    )


def test_a_log_is_told_once_a_minute() -> None:
    at, out = [1_000.0], io.StringIO()
    progress = Progress(out, lambda: at[0])
    for step in range(50):
        progress.say(f"step {step}")
        at[0] += 3
    assert out.getvalue() == "  1:00  step 20\n  2:00  step 40\n"
