"""Octoplex: one front door to every language model.

    from octoplex import Octoplex
    print(Octoplex().chat("octoplex/smollm2", "Say hello.").text)

The same spine runs in process, behind `octoplex serve`, and under the shell.
"""
