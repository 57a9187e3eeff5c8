"""A run in bubblewrap's walls: what is opened for it, and who goes inside.

Called in a thread of the run's own (`job.py`, `lent.py` say why).
"""

import contextlib
import fcntl
import os
import socket

from octoplex.sandbox import bubblewrap, cgroup, gvisor, landlock
from octoplex.sandbox.bubblewrap import Inside
from octoplex.sandbox.job import Job, Start
from octoplex.sandbox.lent import begin_as, lend, nobodys_id
from octoplex.sandbox.memory_file import memory_file
from octoplex.sandbox.syscalls import machine
from octoplex.sandbox.work import Done, End, Work, alone, environment_of, judge, pipe, program_of
from octoplex.wire.error import BadConfig


def walled(work: Work, stop_fd: int) -> Done:
    """Run in bubblewrap's walls, until the end or until `stop_fd` can be read.

    Raises:
        BadConfig: they cannot be built.
        InvalidCall: the program or the workspace cannot be used.
    """
    if bubblewrap.found() is None:
        raise BadConfig(
            "The sandbox needs bubblewrap, which is not installed: apt install bubblewrap."
        )
    is_guest = work.backend == "gvisor"
    if is_guest and gvisor.found() is None:
        raise BadConfig(gvisor.MISSING)
    group = cgroup.make(gvisor.counted(work.limits) if is_guest else work.limits)
    with contextlib.ExitStack() as owned:
        if group is not None:
            owned.callback(group.remove)
        elif is_guest:
            raise BadConfig(gvisor.UNCOUNTED)
        user = nobodys_id() if os.geteuid() == 0 else None
        workspace = work.workspace
        if workspace is not None:
            how = fcntl.LOCK_SH if work.shown and not work.shown.writes else fcntl.LOCK_EX
            owned.enter_context(alone(workspace, stop_fd, how))
            if user is not None:
                workspace = lend(workspace, user, work.tools)
        inside = Inside(
            argv=[program_of(work), *work.argv[1:]],
            limits=work.limits,
            workspace=workspace,
            files={n: owned.enter_context(memory_file(c)) for n, c in work.files.items()},
            env=environment_of(work),
            tools=work.tools,
            counted=group is not None,
            parts=tuple(work.shown.parts(workspace)) if work.shown and workspace else None,
        )
        if is_guest:
            config = owned.enter_context(memory_file(gvisor.config(inside)))
            inside = gvisor.hosting(inside, config, has_network=work.met is not None)
        before = bubblewrap.obeyed(workspace) if workspace else set()
        end = _carried_out(work, inside, stop_fd, user, group)
        planted = bubblewrap.obeyed(workspace) - before if workspace else ()
    return Done(end=end, layers=_layers(work, group, user), planted=tuple(sorted(planted)))


def _carried_out(
    work: Work,
    inside: Inside,
    stop_fd: int,
    user: int | None,
    group: cgroup.Group | None,
) -> End:
    """Open what connects us with the inside, start it, and say what went wrong with that."""
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
        report_fd, reporting_fd = pipe(ours, theirs)
        told_fd, telling_fd = pipe(ours, theirs)
        waiting_fd, go_fd = pipe(theirs, ours)
        door, their_door = _door(ours, theirs) if work.met else (None, None)
        accounts = [theirs.enter_context(memory_file(c)) for c in bubblewrap.ACCOUNTS]
        prepared = gvisor.prepared if work.backend == "gvisor" else bubblewrap.prepared
        launch = prepared(inside, reporting_fd, their_door)
        image = theirs.enter_context(memory_file(launch.image()))
        words = bubblewrap.walls(inside, accounts)
        words += ["--info-fd", str(telling_fd), "--block-fd", str(waiting_fd)]
        told = theirs.enter_context(memory_file(b"".join(os.fsencode(w) + b"\0" for w in words)))
        passed = (reporting_fd, telling_fd, waiting_fd, image, told, *accounts)
        if user is not None:
            entrance = theirs.enter_context(memory_file(begin_as(user).image()))
            passed += (entrance,)
        passed += (
            *inside.files.values(),
            *inside.passed,
            *(() if their_door is None else (their_door,)),
        )
        argv = [] if user is None else ["entrance"]
        argv += [bubblewrap.found() or "", "--args", str(told), "--"]
        argv += [f"/proc/self/fd/{image}", *inside.argv]
        start = Start(
            work=work,
            argv=argv,
            executable=None if user is None else f"/proc/self/fd/{entrance}",
            passed=passed,
            group=group,
            told_fd=told_fd,
            go_fd=go_fd,
            report_fd=report_fd,
            stop_fd=stop_fd,
            door=door,
        )
        job = Job(start)
        try:
            end = job.run(theirs.close)
        except OSError as error:
            if job.begun:
                raise
            raise BadConfig(f"The sandbox cannot be built here: {error}.") from None
    judge(end, work, launch.steps)
    if work.backend == "gvisor":
        gvisor.judge(end, work.argv[0])
    return end


def _door(ours: contextlib.ExitStack, theirs: contextlib.ExitStack) -> tuple[socket.socket, int]:
    here, there = socket.socketpair()
    ours.callback(here.close)
    theirs.callback(there.close)
    return here, there.fileno()


def _layers(work: Work, group: cgroup.Group | None, user: int | None) -> tuple[str, ...]:
    is_guest = work.backend == "gvisor"
    found = ["gvisor"] if is_guest else []
    found += ["bubblewrap", "seccomp", "rlimits"]
    if not is_guest and (version := landlock.abi(machine())):
        found.append(f"landlock {version}")
    found.append("cgroup" if group is not None else "watched memory")
    if user is not None:
        found.append("own user")
    return tuple(found)
