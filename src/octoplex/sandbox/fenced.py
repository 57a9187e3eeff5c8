"""The ways without walls: behind landlock alone, where root started it, and bare.

Landlock says what may be opened, and nothing of `chmod`, `chown` or `utime`: a program with the
starter's own id could still spoil the starter's files. Under an id that nobody has it cannot,
and only root can give it one. So this is a way for root alone, as in a container that may make
no namespaces; for others nothing stands in bubblewrap's place.

Less than walls: the host's name and processes' numbers can be seen, what tools obey in the
workspace is not protected, `/tmp` is a folder of the host's without a limit of its own, memory
that no cgroup counts is watched only below the first process, and there is no network at all.
"""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from octoplex.sandbox import bounds, bubblewrap, cgroup, landlock, seccomp
from octoplex.sandbox.job import Job, Start
from octoplex.sandbox.launcher import Launcher
from octoplex.sandbox.lent import begin_as, lend, nobodys_id
from octoplex.sandbox.memory_file import memory_file
from octoplex.sandbox.syscalls import machine
from octoplex.sandbox.work import Done, Work, alone, environment_of, judge, pipe, program_of
from octoplex.wire.error import BadConfig, InvalidCall

_LEAST = 6
"""The version of landlock that also bounds signals and abstract sockets."""
_DEVICES = ("null", "zero", "full", "random", "urandom")
_DIE_WITH_PARENT, _KILL = 1, 9


def fenced(work: Work, stop_fd: int) -> Done:
    """Run behind landlock and the filter, as a user that nobody is.

    Raises:
        BadConfig: this cannot be had here, or it asks for what only walls give.
        InvalidCall: the program or the workspace cannot be used.
    """
    if os.geteuid() != 0 or landlock.abi(machine()) < _LEAST:
        raise BadConfig("(Landlock alone would do for root, on Linux 6.12 and newer.)")
    if work.files or work.met:
        raise BadConfig("(Landlock alone hands in no files and has no network.)")
    if work.shown is not None:
        raise BadConfig("(Landlock alone shows a folder as a whole.)")
    user = nobodys_id()
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
        workspace = work.workspace
        if workspace is not None:
            ours.enter_context(alone(workspace, stop_fd))
            workspace = lend(workspace, user, work.tools)
        group = cgroup.make(work.limits)
        if group is not None:
            ours.callback(group.remove)
        own = ours.enter_context(_folder(user))
        report_fd, reporting_fd = pipe(ours, theirs)
        waiting_fd, go_fd = pipe(theirs, ours)
        launch = begin_as(user, reporting_fd)
        launch.call("prctl", _DIE_WITH_PARENT, _KILL, 0, 0, 0)
        said = launch.text("")
        launch.call("read", waiting_fd, said, 1)
        launch.call("chdir", said)  # to ".", or nowhere: Octoplex had ended before it could say so
        _bind(launch, work, [str(path) for path in (own, workspace) if path], group is not None)
        image = theirs.enter_context(memory_file(launch.image()))
        start = Start(
            work=work,
            argv=["launch", program_of(work), *work.argv[1:]],
            executable=f"/proc/self/fd/{image}",
            passed=(reporting_fd, waiting_fd, image),
            group=group,
            told_fd=None,
            go_fd=go_fd,
            report_fd=report_fd,
            stop_fd=stop_fd,
            env=environment_of(work) | {"HOME": str(own), "TMPDIR": str(own)} | dict(work.env),
            cwd=str(workspace or own),
        )
        before = bubblewrap.obeyed(workspace) if workspace else set()
        end = Job(start).run(theirs.close)
        planted = bubblewrap.obeyed(workspace) - before if workspace else ()
    judge(end, work, launch.steps)
    layers = ("seccomp", "rlimits", f"landlock {landlock.abi(machine())}", "own user")
    return Done(
        end=end, layers=layers + (("cgroup",) if group else ()), planted=tuple(sorted(planted))
    )


def _bind(launch: Launcher, work: Work, own: list[str], counted: bool) -> None:
    bounds.limit(launch, work.limits, counted)
    runs = ["/usr", *(f"/{name}" for name in bubblewrap.LINKS), *work.tools]
    trees = [(place, landlock.RUN) for place in runs]
    trees += [(f"/etc/{name}", landlock.LOOK) for name in bubblewrap.ETC]
    trees += [(f"/dev/{name}", landlock.USE) for name in _DEVICES]
    trees += [(place, landlock.OWN) for place in own]
    there = [
        (place, rights if os.path.isdir(place) else rights & landlock.OF_FILES)
        for place, rights in trees
        if os.path.exists(place)
    ]
    bounds.bow(launch, there, seccomp.program(machine(), counted=counted, inside=False))


@contextlib.contextmanager
def _folder(user: int) -> Iterator[Path]:
    """A folder in the place of `/tmp`, which is removed with all that was left in it."""
    path = Path(tempfile.mkdtemp(prefix="octoplex-sandbox-"))
    try:
        os.chown(path, user, user)
        yield path
    finally:
        # Not rmtree: a program may have made folders deeper than Python can follow.
        subprocess.run(["/bin/rm", "-rf", "--", str(path)], check=False, stderr=subprocess.DEVNULL)


def bare(work: Work, stop_fd: int) -> Done:
    """Run without any wall: only its time, its output and its variables are limited.

    Raises:
        InvalidCall: it asks for what only walls can give.
    """
    if work.files or work.met is not None or work.shown is not None:
        raise InvalidCall(
            "Without a sandbox no files are handed in, and neither network nor folder are limited."
        )
    with contextlib.ExitStack() as owned:
        report_fd, _ = pipe(owned, owned)
        start = Start(
            work=work,
            argv=[program_of(work), *work.argv[1:]],
            passed=(),
            group=None,
            told_fd=None,
            go_fd=None,
            report_fd=report_fd,
            stop_fd=stop_fd,
            env=environment_of(work),
            cwd=str(work.workspace or tempfile.gettempdir()),
        )
        try:
            end = Job(start).run()
        except OSError as error:
            raise InvalidCall(f"{work.argv[0]} cannot be run: {error.strerror}.") from None
    return Done(end=end, layers=(), planted=())
