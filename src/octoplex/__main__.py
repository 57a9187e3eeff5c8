"""`python -m octoplex` is `octoplex`."""

from octoplex.cli import main

main(prog_name="octoplex")
