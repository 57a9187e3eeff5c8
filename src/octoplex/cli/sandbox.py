"""`octoplex sandbox`: run a program in the sandbox, and show what it is made of here.

    octoplex sandbox run --workspace . --net api.example.org -- python3 -m pytest

What is piped in it may read. What it writes is passed on as it comes; on a terminal without what
could command it. That it ran with less than all walls is a warning. The status is the program's,
and as the shell has it where a limit ended it:

    124  its time was over
    137  it used up its memory, or wrote too much
"""

import asyncio
import contextlib
import ipaddress
import os
import sys
import threading
from queue import SimpleQueue

import click

from octoplex.cli.place import config_option, json_option, place_of
from octoplex.cli.show import print_json, print_table
from octoplex.sandbox.config import SandboxTable
from octoplex.sandbox.egress import Egress
from octoplex.sandbox.limits import Limits, limits_of
from octoplex.sandbox.sandbox import Result, Sandbox
from octoplex.wire.error import BadConfig, InvalidCall

_WHY = {
    "time": "its time was over ({seconds:g} s); --limits gives it more",
    "memory": "it used up its memory ({memory:,} bytes); --limits gives it more",
    "output": "it wrote more than {output:,} bytes; --limits gives it more",
    "stopped": "nobody reads what it writes",
}
_STATUS = {"time": 124, "memory": 137, "output": 137, "stopped": 137}
_PASSED = frozenset("\n\t\r")
_OPTIONS = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.group()
def sandbox() -> None:
    """Run a program where it can do no harm."""


@sandbox.command(context_settings=_OPTIONS)
@click.option("--workspace", metavar="DIR", help="Its working directory, readable and writable.")
@click.option("--net", metavar="HOSTS", default="none", help="Hosts it may reach, or none.")
@click.option("--limits", "said", metavar="TEXT", default="", help='Such as "10 s, 2 GiB memory".')
@click.option("--env", "pairs", metavar="NAME=VALUE", multiple=True, help="A variable for it.")
@config_option
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD ...")
def run(
    workspace: str | None,
    net: str,
    said: str,
    pairs: tuple[str, ...],
    config: str | None,
    argv: tuple[str, ...],
) -> None:
    """Run a program, word by word; no shell looks at it.

    It sees the programs of this machine, an empty /tmp and DIR as /workspace, and nothing else.
    """
    table = place_of(config).settings.sandbox
    limits = limits_of(said, limits_of(table.limits))
    passing = _Passing()
    hosts = [] if net == "none" else [host for host in net.split(",") if host.strip()]
    box = Sandbox(
        tools=table.tools,
        unsafe=table.unsafe,
        stdin=_piped(),
        tell=passing.hear,
        backend=table.container,
    )
    result = asyncio.run(
        box.run(
            argv,
            workspace=workspace,
            env=dict(_variable(pair) for pair in pairs),
            limits=limits,
            network=Egress(hosts, permitted=_networks(table)) if hosts else (),
        )
    )
    passing.finish()
    _conclude(result, limits)


@sandbox.command()
@config_option
@json_option
def layers(config: str | None, as_json: bool) -> None:
    """Show which walls a program has around it on this machine."""
    table = place_of(config).settings.sandbox
    box = Sandbox(tools=table.tools, backend=table.container)
    try:
        found = asyncio.run(box.run(["true"])).layers
    except (BadConfig, InvalidCall) as error:
        raise BadConfig(f"Nothing runs in the sandbox on this machine: {error}") from None
    if as_json:
        print_json({"layers": list(found)})
    else:
        rows = [(name, _MEANING[name.split()[0]]) for name in found]
        print_table(("layer", "what it does"), rows, frozenset())


_MEANING = {
    "gvisor": "a kernel of its own, which answers the program's system calls",
    "docker": "a container of its own, without network and without rights",
    "podman": "a container of its own, without network and without rights",
    "kubernetes": "a job of its own in a cluster, without a token and without rights",
    "network": "a policy that lets nothing in or out, if the cluster's network keeps it",
    "bubblewrap": "namespaces of its own, and a file system with little in it",
    "seccomp": "system calls that it may not make",
    "rlimits": "what each process may use",
    "landlock": "a second wall around files, by the kernel's rules on paths",
    "cgroup": "processes and memory, counted together",
    "watched": "memory counted 20 times a second: no cgroup can be made here",
    "experimental": "tried less than the walls, and not by every test: see the guide",
    "own": "a user id that nobody else has, because root started it",
}


def _conclude(result: Result, limits: Limits) -> None:
    """Say what is not seen in the output, and end with the program's status."""
    for host in result.refused:
        click.echo(f"octoplex: refused: {host}", err=True)
    if result.planted:
        names = ", ".join(result.planted)
        click.echo(f"octoplex: it made what tools of this machine obey: {names}", err=True)
    if result.left:
        click.echo(f"octoplex: not taken back: {', '.join(result.left)}", err=True)
    if result.outcome != "exited":
        why = _WHY[result.outcome].format(
            seconds=limits.seconds, memory=limits.memory, output=limits.output
        )
        click.echo(f"octoplex: ended: {why}", err=True)
        sys.exit(_STATUS[result.outcome])
    sys.exit(result.status)


def _piped() -> int | None:
    """A pipe into which goes what is piped to us; a terminal stays ours."""
    if sys.stdin is None or sys.stdin.isatty():
        return None
    source_fd, (read_fd, write_fd) = sys.stdin.fileno(), os.pipe()

    def copy() -> None:
        with contextlib.suppress(OSError), os.fdopen(write_fd, "wb", buffering=0) as pipe:
            while piece := os.read(source_fd, 65_536):
                pipe.write(piece)

    threading.Thread(target=copy, daemon=True).start()
    return read_fd


class _Passing:
    """Passes on what the program writes, in a thread: a reader who waits stops no clock.

    What is not read yet is held; the limit of output bounds it.
    """

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[int, bytes] | None] = SimpleQueue()
        self._is_read = True
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def hear(self, stream: int, piece: bytes) -> None:
        """Raises `BrokenPipeError`: nobody reads any more."""
        if not self._is_read:
            raise BrokenPipeError
        self._waiting.put((stream, piece))

    def finish(self) -> None:
        """Wait until all is written."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        with contextlib.suppress(OSError):
            while said := self._waiting.get():
                _pass_on(*said)
        self._is_read = False


def _pass_on(stream: int, piece: bytes) -> None:
    """Write what the program wrote. A terminal gets its text only: an escape is a command to it."""
    if os.isatty(stream):
        text = piece.decode(errors="replace")
        piece = "".join(c for c in text if c.isprintable() or c in _PASSED).encode()
    while piece:
        piece = piece[os.write(stream, piece) :]


def _variable(pair: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not equals:
        raise InvalidCall(f'--env "{name[:40]}" must be NAME=VALUE.')
    return name, value


def _networks(table: SandboxTable) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        return [ipaddress.ip_network(text) for text in table.networks]
    except ValueError as error:
        raise BadConfig(f"[sandbox] networks: {error}.") from None
