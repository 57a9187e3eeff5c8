"""A job for the program, in a Kubernetes cluster: experimental, never run on a cluster.

    [sandbox]
    backend = "kubernetes"
    image = "docker.io/library/python:3.12-slim"
    namespace = "octoplex"

It is made by `kubectl` (`pod.py` says of what), looked at, and only then given anything: nothing
runs where a policy of the namespace lets the pod reach something, where the cluster holds other
than what it was told, or where hosts are to be reached. The workspace goes in and comes back as an
archive (`luggage.py`). The job is removed whatever happens; what another Octoplex of this machine
left that died is removed before the first run of the next, and else ends by its own deadline.

The image must have `sh`, `tar`, `sleep` and `chmod`. Words and variables travel in a script, so
that no value stands in a command line or in what the cluster keeps.

References: kubernetes.io/docs/reference/kubectl; kubernetes.io/docs/concepts/services-networking/
network-policies.

Not promised: that the cluster's network keeps policies, which only its plugin can; policies of
other kinds than NetworkPolicy are not seen. What was written before a cancel does not come back.
An image that declares volumes has them, writable and without a bound: it cannot be looked at here.
"""

import contextlib
import json
import logging
import os
import select
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from fcntl import LOCK_EX
from functools import cache
from pathlib import Path
from typing import IO, Any

from msgspec.structs import replace

from octoplex.sandbox import bubblewrap, pod
from octoplex.sandbox.client import (
    LABEL,
    Client,
    Words,
    abandoned,
    attended,
    client_of,
    namespace,
    new_name,
    short,
)
from octoplex.sandbox.lent import nobodys_id
from octoplex.sandbox.luggage import Back, Sent, most_bytes, pack, unpack
from octoplex.sandbox.pod import GIVEN, KEEPER, PROGRAM, RUN, TOLD
from octoplex.sandbox.work import Done, End, Work, alone, environment_of
from octoplex.wire.error import BadConfig, InvalidCall

log = logging.getLogger(__name__)
_START_S = 180.0
_MOVE_S = 300.0
_LOOK_S = 0.5
_SETTLE_S = 5.0
"""A node tells how a container ended a moment after it did."""
_FILES = 4096
_OTHERS = 4
"""Processes of the run's user that are not the program's: what waits, and the shell."""
_HOPELESS_NAMES = """
ErrImagePull ImagePullBackOff ErrImageNeverPull InvalidImageName CreateContainerConfigError
CreateContainerError RunContainerError CrashLoopBackOff
"""
_HOPELESS = frozenset(_HOPELESS_NAMES.split())
_UNPACK = ("tar", "-x", "-p", "-o", "-f", "-", "-C", "/")
_END_ALL = f"[ -r {GIVEN}/run ] && kill -9 -1"
"""Said in the program's container alone; its first process does not hear it."""
_PACK = "chmod -R u+rX {0} 2>/dev/null; exec tar -c -f - -C / told {0}"


def clustered(work: Work, stop_fd: int) -> Done:
    """Run in a job, until the end or until `stop_fd` can be read.

    Raises:
        BadConfig: it cannot be had as it must be.
        InvalidCall: what is asked for cannot be expressed, or the workspace cannot travel.
    """
    client = _client(work)
    swept(client)
    with contextlib.ExitStack() as owned:
        workspace = work.workspace
        if workspace is not None:
            owned.enter_context(alone(workspace, stop_fd, LOCK_EX))
        archive = owned.enter_context(tempfile.TemporaryFile())
        sent = pack(work, _script(work), archive)
        name = new_name()
        owned.callback(_remove, client, name)
        place = _made(client, work, name, stop_fd)
        before = bubblewrap.obeyed(workspace) if workspace else set()
        end, back = _carried_out(_Inside(client, place, stop_fd), work, archive, sent)
        planted = bubblewrap.obeyed(workspace) - before if workspace else ()
    if back.left:
        log.warning("Of what a job wrote this was not taken: %s", ", ".join(back.left))
    layers = ("kubernetes", "seccomp", "rlimits", "cgroup", "network policy", "experimental")
    return Done(end=end, layers=layers, planted=tuple(sorted(planted)), left=back.left)


def _client(work: Work) -> Client:
    client = client_of(work, "kubectl")
    if not work.namespace:
        raise BadConfig('[sandbox] backend = "kubernetes" needs a namespace.')
    if work.argv[0].startswith("-"):
        raise InvalidCall(f"{work.argv[0]} is not the name of a program.", param="argv")
    if not work.context:
        client.ask("config", "current-context")
    context = [f"--context={work.context}"] if work.context else []
    return replace(client, options=(*context, f"--namespace={work.namespace}"))


def _script(work: Work) -> bytes:
    """What starts the program. `exec` takes none of the shell's own words for it."""
    limits = work.limits
    tasks = limits.processes + _OTHERS
    env = environment_of(work)
    if "PATH" not in work.env:  # the image knows where its programs lie
        del env["PATH"]
    lines = [
        f"(ulimit -u {tasks}) 2>/dev/null && ulimit -u {tasks} || ulimit -p {tasks} || exit 125",
        f"ulimit -f {-(-limits.disk // 512)} && ulimit -c 0 || exit 125",
        f"ulimit -n {_FILES} 2>/dev/null",
        "(",
        *(f"export {name}={shlex.quote(value)}" for name, value in env.items()),
        f"exec {shlex.join(work.argv)}",
        ")",
        f"echo $? >{TOLD}/status",
    ]
    return b"".join(os.fsencode(line) + b"\n" for line in lines)


# --- the job ------------------------------------------------------------------------------------


def _made(client: Client, work: Work, name: str, stop_fd: int) -> str:
    """Make the job, wait until its pod waits, and look whether it is what was asked for."""
    wanted = pod.job(work, name, _origin(), nobodys_id())
    made = client.read("create", "-f", "-", "-o", "json", told=_json(wanted))
    uid = str(made["metadata"]["uid"])
    client.ask("create", "-f", "-", told=_json(pod.policy(name, _origin(), uid)))
    found = _awaited(client, name, uid, stop_fd)
    if where := pod.differs(found.get("spec"), wanted["spec"]["template"]["spec"]):
        raise BadConfig(f"The cluster does not hold what it was told: {where} of the pod.")
    policies = client.read("get", "networkpolicies", "-o", "json").get("items") or ()
    labels = found["metadata"].get("labels") or {}
    if why := pod.opened(policies, name, labels):
        raise BadConfig(
            f'In the namespace "{work.namespace}" a pod is not cut off from the network: {why}.'
        )
    return str(found["metadata"]["name"])


def _json(thing: Any) -> bytes:
    return json.dumps(thing).encode()


def _origin() -> str:
    """Which machine, and whose numbers of processes: others use the same cluster."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    return f"{boot}-{namespace()}"


def _awaited(client: Client, name: str, uid: str, stop_fd: int) -> Any:
    """The pod of a job, once both of its containers wait.

    Raises:
        BadConfig: they never will, or have not in time; says why as far as the cluster does.
    """
    until, why = time.monotonic() + _START_S, "no pod was made"
    while time.monotonic() < until:
        for one in client.read("get", "pods", "-l", f"{RUN}={name}", "-o", "json")["items"]:
            owners = one["metadata"].get("ownerReferences") or ()
            if any(owner.get("uid") == uid for owner in owners):
                if _waits(one):
                    return one
                why = _why(one)
                break
        else:
            _look_for_refusal(client, name)
        if select.select([stop_fd], [], [], _LOOK_S)[0]:
            raise InvalidCall("It was stopped while it waited for a place in the cluster.")
    raise BadConfig(f"The job did not begin within {_START_S:.0f} s: {why}.")


def _waits(one: Any) -> bool:
    found = one["status"].get("containerStatuses") or ()
    return len(found) >= 2 and all("running" in (s.get("state") or {}) for s in found)


def _why(one: Any) -> str:
    """Why a pod is not there yet.

    Raises:
        BadConfig: it never will be.
    """
    status = one["status"]
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason") in _HOPELESS or ended is not None:
            raise BadConfig(f"The job cannot begin: {_said(ended or waiting)}")
    if status.get("phase") == "Failed":
        raise BadConfig(f"The job cannot begin: {_said(status)}")
    lacks = [c for c in status.get("conditions") or () if c.get("status") == "False"]
    return _said(lacks[0]) if lacks else str(status.get("phase"))


def _look_for_refusal(client: Client, name: str) -> None:
    """A quota or a rule of the cluster refuses the pod, not the job; only an event says so."""
    why: list[str] = []
    with contextlib.suppress(BadConfig):  # who may not read events is told less
        which = f"involvedObject.name={name},reason=FailedCreate"
        events = client.read("get", "events", "--field-selector", which, "-o", "json")["items"]
        why = [_said(event) for event in events]
    if why:
        raise BadConfig(f"The cluster makes no pod for the job: {why[-1]}")


def _said(thing: Any) -> str:
    words = f"{thing.get('reason') or ''} {thing.get('message') or ''}"
    return short(words.encode())


def _remove(client: Client, name: str) -> None:
    """End it, whatever it does, and wait until it is gone."""
    try:
        client.ask(
            "delete", f"job/{name}", f"networkpolicy/{name}", "--ignore-not-found", "--wait",
            "--cascade=foreground", "--timeout=25s",
        )  # fmt: skip
    except BadConfig as error:
        log.error("The job %s may still be there until its deadline: %s", name, error)


@cache
def swept(client: Client) -> None:
    """Remove what an Octoplex of this machine left that is no more. Once is enough."""
    said = client.ask("get", "jobs", "-l", f"{LABEL}={_origin()}", "-o", "name")
    for name in abandoned(line.rpartition("/")[2] for line in said.split()):
        log.warning("The job %s was left behind; it is removed.", name)
        _remove(client, name)


# --- the program --------------------------------------------------------------------------------


class _Inside:
    """A pod and the ways into it."""

    def __init__(self, client: Client, place: str, stop_fd: int) -> None:
        self.client, self.place, self.stop_fd = client, place, stop_fd

    def words(self, container: str, *argv: str, reads: bool = False) -> list[str]:
        """What runs this in a container."""
        stdin = ["-i"] if reads else []
        return ["exec", *stdin, self.place, "-c", container, "--", *argv]

    def state(self) -> Any:
        """What the cluster says of the pod."""
        return self.client.read("get", "pod", self.place, "-o", "json")["status"]

    def move(
        self, argv: tuple[str, ...], source: IO[bytes] | None, sink: IO[bytes], most: int
    ) -> None:
        """Run this beside the program, from one file to another, which has at most so many bytes.

        Raises:
            BadConfig: it failed.
            InvalidCall: it was stopped, or it brings more.
        """
        until = time.monotonic() + _MOVE_S
        with tempfile.TemporaryFile() as said:
            words = self.words(KEEPER, *argv, reads=source is not None)
            if source is not None:
                source.seek(0)
            with _started(self.client, words, source, sink, said) as process:
                for _ in _looks(process):
                    if select.select([self.stop_fd], [], [], 0)[0]:
                        raise InvalidCall("It was stopped while its workspace was moved.")
                    if os.fstat(sink.fileno()).st_size > most:
                        raise InvalidCall("The program left more than its limits let out.")
                    if time.monotonic() > until:
                        raise BadConfig(f"The workspace was not moved within {_MOVE_S:.0f} s.")
            said.seek(0)
            if process.returncode:
                raise BadConfig(f"kubectl exec: {short(said.read(4096))}")


@contextlib.contextmanager
def _started(
    client: Client, words: list[str], source: IO[bytes] | None, sink: IO[bytes], said: IO[bytes]
) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        client.command(*words),
        env=client.env,
        cwd="/",
        stdin=source if source is not None else subprocess.DEVNULL,
        stdout=sink,
        stderr=said,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _looks(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Now, and again and again until it has ended."""
    while True:
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            yield
        else:
            yield
            return


def _carried_out(
    inside: _Inside, work: Work, archive: IO[bytes], sent: Mapping[str, Sent]
) -> tuple[End, Back]:
    """Send everything in, run the program, and take back what it wrote."""
    with tempfile.TemporaryFile() as nothing:
        inside.move(_UNPACK, archive, nothing, 0)
    words = inside.words(PROGRAM, "sh", f"{GIVEN}/run", reads=work.stdin is not None)
    end = attended(inside.client, Words(words), work, inside.stop_fd)
    if end.outcome == "stopped":
        return end, Back(None, ())
    with contextlib.suppress(BadConfig):  # it may be that nothing is left that could be told it
        inside.client.ask(*inside.words(PROGRAM, "sh", "-c", _END_ALL))
    with tempfile.TemporaryFile() as came:
        try:
            pack_up = ("sh", "-c", _PACK.format("workspace" if work.workspace else ""))
            inside.move(pack_up, None, came, most_bytes(work.limits))
        except BadConfig as error:
            raise BadConfig(f"{error} {_said(inside.state())}") from None
        back = unpack(came, sent, work)
    return _told(end, back, inside), back


def _told(end: End, back: Back, inside: _Inside) -> End:
    """How the program ended. A client that failed may look as if that had been the program."""
    if end.outcome != "exited":
        return end
    if end.status == 0 and back.status is not None:
        return replace(end, status=back.status)
    until = time.monotonic() + _SETTLE_S
    while time.monotonic() < until:
        for one in inside.state().get("containerStatuses") or ():
            ended = (one.get("state") or {}).get("terminated") or {}
            if one.get("name") == PROGRAM and ended.get("reason") == "OOMKilled":
                return replace(end, outcome="memory", status=137)
        if select.select([inside.stop_fd], [], [], _LOOK_S)[0]:
            return replace(end, outcome="stopped")
    raise BadConfig(f"kubectl exec: {short(end.stderr)}")
