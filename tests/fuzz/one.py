"""Fuzz one target in this process: `python -m tests.fuzz.one TARGET [libFuzzer's arguments]`.

Only our own modules are instrumented: coverage of msgspec and httptools, which are C, would
need builds of their own, and that of the standard library would lead the fuzzer astray.
"""

import sys

import atheris

with atheris.instrument_imports(include=["octoplex"]):
    from tests.fuzz.targets import targets


def main() -> None:
    """Hand the process over to libFuzzer; it never comes back."""
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, targets()[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
