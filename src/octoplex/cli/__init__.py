"""The shell: `octoplex serve`, `chat`, `keys`, `spend`, `logs` and the rest."""

from octoplex.cli.main import main

__all__ = ["main"]
