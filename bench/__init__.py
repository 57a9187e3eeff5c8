"""The benchmark: what one request costs through Octoplex and through others, side by side.

Run it with ``python -m bench`` from the repository's root; ``bench/README.md`` says how to read it.
"""
