"""What a cluster is told, and that nothing runs where it does not hold it.

A program in the place of `kubectl` (`cluster.py`) records and misbehaves; what it is told to run in
a pod it runs, so archives are those of a real `tar` and statuses those of a real shell. No cluster
was ever there; the real `kubectl` was tried by hand against a scripted server
(docs/decisions/sandbox.md).
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from octoplex.cli.doctor import doctor
from octoplex.cli.sandbox import layers
from octoplex.sandbox import client, kubernetes, pod
from octoplex.sandbox.config import SandboxTable
from octoplex.sandbox.egress import Egress
from octoplex.sandbox.limits import Limits
from octoplex.sandbox.sandbox import Result, Sandbox
from octoplex.sandbox.work import Container, Work
from octoplex.wire.error import BadConfig, GatewayError, InvalidCall
from tests.sandbox.host import folder

LIMITS = Limits(processes=4000, memory=64 << 20, disk=1 << 20, files=100, seconds=20)
JOB = Container("kubernetes", "example.org/small:1", "boxes", "there")
CLUSTER = Path(__file__).parent / "cluster.py"


class Place:
    """A folder with a `kubectl` in it, and a cluster behind that."""

    def __init__(self, path: Path) -> None:
        self.path = path
        shutil.copy(CLUSTER, path / "kubectl")
        (path / "kubectl").chmod(0o755)
        self.must()

    def must(self, **what: Any) -> None:
        (self.path / "must.json").write_text(json.dumps(what))

    def run(self, argv: list[str], box: Container = JOB, **wanted: Any) -> Result:
        limits, tell = wanted.pop("limits", LIMITS), wanted.pop("tell", None)
        sandbox = Sandbox(backend=box, unsafe=True, tell=tell, stdin=wanted.pop("stdin", None))
        return asyncio.run(sandbox.run(argv, limits=limits, **wanted))

    def told(self, *words: str) -> list[list[str]]:
        """What it was told, without the options before, that begins so."""
        lines = (self.path / "told").read_text().splitlines()
        found = [json.loads(line) for line in lines]
        assert all(line[:2] == ["--context=there", "--namespace=boxes"] for line in found)
        return [line[2:] for line in found if line[2 : 2 + len(words)] == list(words)]

    @property
    def objects(self) -> list[str]:
        return sorted(os.listdir(self.path / "objects")) if self.has_objects else []

    @property
    def has_objects(self) -> bool:
        return (self.path / "objects").exists()

    @property
    def has_started(self) -> bool:
        return (self.path / "started").exists()

    def end(self) -> None:
        pids = self.path / "pids"
        for pid in pids.read_text().split() if pids.exists() else ():
            try:
                os.killpg(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(client, "PATH", f"{tmp_path}:/usr/bin:/bin")
    kubernetes.swept.cache_clear()
    one = Place(tmp_path)
    yield one
    one.end()
    kubernetes.swept.cache_clear()


def work_of(**wanted: Any) -> Work:
    usual = {"workspace": Path("/w"), "files": {"a": b""}, "env": {}, "limits": LIMITS}
    return Work(argv=["true"], image="small", **(usual | wanted))


def test_what_a_job_is_made_of() -> None:
    """All of it, but for the two containers' own parts, which are below."""
    job = pod.job(work_of(), "octoplex-1-2-ab", "here", 123)
    labels = {"octoplex.sandbox": "here", "octoplex.run": "octoplex-1-2-ab"}
    spec = job["spec"].pop("template").pop("spec")
    containers = spec.pop("containers")
    assert job == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "octoplex-1-2-ab", "labels": labels},
        "spec": {"backoffLimit": 0, "activeDeadlineSeconds": 920, "ttlSecondsAfterFinished": 60},
    }
    walls = {"runAsNonRoot": True, "runAsUser": 123, "runAsGroup": 123}
    walls |= {"seccompProfile": {"type": "RuntimeDefault"}}
    disk = {"emptyDir": {"sizeLimit": "1048576"}}
    assert spec == {
        "restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "hostname": "sandbox",
        "automountServiceAccountToken": False, "enableServiceLinks": False, "hostNetwork": False,
        "hostPID": False, "hostIPC": False, "shareProcessNamespace": False,
        "dnsPolicy": "None", "dnsConfig": {"nameservers": ["127.0.0.1"]}, "securityContext": walls,
        "volumes": [
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "1048576"}},
            {"name": "given", "emptyDir": {"sizeLimit": "8388608"}},
            {"name": "told", **disk}, {"name": "files", **disk}, {"name": "workspace", **disk},
        ],
    }  # fmt: skip
    for container, memory in zip(containers, ("67108864", "128Mi"), strict=True):
        most = {"memory": memory, "cpu": "1", "ephemeral-storage": str((1 << 20) + (64 << 20))}
        assert container.pop("resources") == {"limits": most, "requests": most | {"cpu": "100m"}}
        assert container.pop("command") == ["sleep", "920"]
        assert container.pop("securityContext") == walls | {
            "allowPrivilegeEscalation": False, "privileged": False,
            "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
    program, keeper = containers
    assert [(m["mountPath"], m["readOnly"]) for m in program["volumeMounts"]] == [
        ("/tmp", False), ("/dev/shm", False), ("/octoplex", True), ("/told", False),
        ("/files", True), ("/workspace", False),
    ]  # fmt: skip
    assert [(m["mountPath"], m["readOnly"]) for m in keeper["volumeMounts"]] == [
        ("/octoplex", False), ("/told", True), ("/files", False), ("/workspace", False),
    ]  # fmt: skip
    assert set(program) == {"name", "image", "imagePullPolicy", "workingDir", "volumeMounts"}
    assert (program["name"], program["image"], program["workingDir"]) == (
        "program", "small", "/workspace",
    )  # fmt: skip
    bare = pod.job(work_of(workspace=None, files={}), "n", "here", 1)["spec"]["template"]["spec"]
    assert [one["name"] for one in bare["volumes"]] == ["tmp", "given", "told"]
    assert bare["containers"][0]["workingDir"] == "/tmp"


CHANGED: Mapping[str, Any] = {
    "hostNetwork": {"hostNetwork": True},
    "automountServiceAccountToken": {"automountServiceAccountToken": None},
    "enableServiceLinks": {"enableServiceLinks": True},
    "initContainers": {"initContainers": [{"name": "proxy"}]},
    "ephemeralContainers": {"ephemeralContainers": [{"name": "debugger"}]},
    "containers": {"containers": []},
    "volumes": {"volumes": []},
    "securityContext.runAsUser": {"securityContext": {"runAsNonRoot": True}},
    "spec": None,
}


def test_what_a_pod_holds_otherwise_is_seen() -> None:
    wanted = pod.job(work_of(), "n", "here", 1)["spec"]["template"]["spec"]

    def changed(**about: Any) -> str:
        first, keeper = wanted["containers"]
        return pod.differs(wanted | {"containers": [first | about, keeper]}, wanted)

    added = {key: value for key, value in wanted.items() if key != "hostPID"}
    assert pod.differs(added | {"nodeName": "n1"}, wanted) == ""
    for where, change in CHANGED.items():
        held = change and {k: v for k, v in (wanted | change).items() if v is not None}
        assert pod.differs(held, wanted) == where
    own = wanted["containers"][0]
    walls, most = own["securityContext"], own["resources"]["limits"]
    added = {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}
    assert changed(securityContext=walls | added) == "containers.program"
    assert changed(lifecycle={"postStart": {}}) == "containers.program"
    assert changed(envFrom=[{"secretRef": {}}]) == "containers.program"
    opened = changed(securityContext=walls | {"readOnlyRootFilesystem": None})
    assert opened == "containers.0.securityContext.readOnlyRootFilesystem"
    for said, is_same in (("64Mi", True), ("65536Ki", True), ("64M", False), ("0x", False)):
        limits = {"limits": most | {"memory": said}, "requests": own["resources"]["requests"]}
        where = changed(resources=limits)
        assert where == ("" if is_same else "containers.0.resources.limits.memory")


def selecting(labels: dict[str, str], **rules: Any) -> dict[str, Any]:
    spec = {"podSelector": {"matchLabels": labels}, **rules}
    return {"metadata": {"name": "open"}, "spec": spec}


def asking(**words: Any) -> dict[str, Any]:
    selector = {"matchExpressions": [{"key": "octoplex.run", **words}]}
    return {"metadata": {"name": "open"}, "spec": {"podSelector": selector, "egress": [{}]}}


def test_a_policy_that_lets_something_through_is_seen() -> None:
    """Policies add up, and there must be one of ours that denies both ways."""
    ours, labels = pod.policy("n", "here", "uid"), {"octoplex.run": "n", "app": "x"}
    assert ours["metadata"]["ownerReferences"][0]["uid"] == "uid"
    half = pod.policy("n", "here", "uid")
    half["spec"]["policyTypes"] = ["Ingress"]
    for missing in ([], [half], [pod.policy("other", "here", "uid")]):
        assert "no policy" in pod.opened(missing, "n", labels)
    for harmless in (
        selecting({"app": "y"}, egress=[{}]), selecting({"app": "x"}, egress=[]),
        asking(operator="In", values=["m"]), asking(operator="NotIn", values=["n"]),
        asking(operator="DoesNotExist"),
    ):  # fmt: skip
        assert pod.opened([harmless, ours], "n", labels) == ""
    for opening in (
        selecting({}, egress=[{}]), selecting({"app": "x"}, ingress=[{}]),
        asking(operator="In", values=["n"]), asking(operator="NotIn", values=["m"]),
        asking(operator="Exists"), asking(operator="unheard of"),
    ):  # fmt: skip
        assert '"open" lets something' in pod.opened([ours, opening], "n", labels)


PROGRAM = """
cat /proc/self/fd/0; echo "$KEY"; [ -z "$PATH_GIVEN" ] && echo "$OF"; cat ../files/note
echo changed > a; rm gone; echo hook > .git/hooks/pre-push; ln -s /etc out; mkdir n; echo x > n/x
grep -c -E "^Max (processes +4004|file size +1048576) " /proc/self/limits; exit 3
"""


def test_a_program_runs_and_its_workspace_comes_back(place: Place) -> None:
    with folder("user") as path:
        (path / ".git" / "hooks").mkdir(parents=True)
        for name in ("a", "gone", ".git/hooks/pre-push"):
            (path / name).write_text("as it was")
        read_fd, write_fd = os.pipe()
        os.write(write_fd, b"piped in\n")
        os.close(write_fd)
        done = place.run(
            ["sh", "-c", PROGRAM],
            workspace=path,
            files={"note": b"handed in\n"},
            env={"KEY": "it's a $secret\nof two lines"},
            stdin=read_fd,
        )
        os.close(read_fd)
        assert (done.outcome, done.status, done.stderr) == ("exited", 3, b"")
        said = "piped in\nit's a $secret\nof two lines\nthe image\nhanded in\n2\n"
        assert done.stdout.decode() == said
        assert (path / "a").read_text() == "changed\n"
        assert (path / ".git" / "hooks" / "pre-push").read_text() == "as it was"
        assert not (path / "gone").exists()
        assert (path / "n" / "x").stat().st_uid == path.stat().st_uid
        assert done.left == (".git/hooks/pre-push", "out")
        assert done.planted == ()
    assert done.layers[0] == "kubernetes"
    assert done.layers[-1] == "experimental"
    assert place.objects == []
    assert "secret" not in str(place.told())
    assert place.told("delete")[0][3:] == [
        "--ignore-not-found", "--wait", "--cascade=foreground", "--timeout=25s",
    ]  # fmt: skip


def test_words_are_the_programs_and_not_the_shells(place: Place) -> None:
    with pytest.raises(InvalidCall, match="not the name of a program"):
        place.run(["-c"])
    assert place.run(["exit", "5"]).status == 127
    assert place.run(["printf", "%s", "a'b\"$HOME\n*"]).stdout == b"a'b\"$HOME\n*"


def test_what_changes_here_meanwhile_is_told(place: Place) -> None:
    with folder("user") as path:
        (path / "a").write_text("as it was")
        (path / "b").write_text("as it was")

        def tell(_: int, __: bytes) -> None:
            (path / "a").write_text("changed here")

        argv = ["sh", "-c", "echo now; echo inside >a; echo inside >b"]
        done = place.run(argv, workspace=path, tell=tell)
        assert done.left == ("a",)
        assert (path / "a").read_text() == "changed here"
        assert (path / "b").read_text() == "inside\n"


ENDS: Mapping[str, tuple[list[str], dict[str, Any], Limits, int]] = {
    "memory": (["true"], {"ended": {"reason": "OOMKilled", "exitCode": 137}}, LIMITS, 137),
    "time": (["sleep", "100"], {}, Limits(seconds=0.5, processes=4000), 137),
    "output": (["cat", "/dev/zero"], {}, Limits(output=1000, processes=4000), 137),
}


@pytest.mark.parametrize("what", ENDS)
def test_how_it_ended_is_told_and_nothing_is_left(place: Place, what: str) -> None:
    argv, must, limits, status = ENDS[what]
    place.must(**must)
    done = place.run(argv, limits=limits)
    assert (done.outcome, done.status) == (what, status)
    assert len(done.stdout) <= limits.output
    assert place.objects == []
    assert len(place.told("exec")) == 4  # to hand in, to run, to end what is left, to take out


def test_a_cancelled_one_is_removed(place: Place) -> None:
    async def cancelled() -> None:
        box = Sandbox(backend=JOB)
        task = asyncio.create_task(box.run(["sleep", "100"], limits=LIMITS))
        while not (place.has_started or task.done()):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        assert len(place.objects) == 3
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert place.objects == []
    assert len(place.told("exec")) == 2  # to hand in and to run: nothing comes back


def state(reason: str) -> dict[str, Any]:
    waiting = {"waiting": {"reason": reason, "message": "it said"}}
    return {"status": {"phase": "Pending", "containerStatuses": [{"state": waiting}]}}


BROKEN: Mapping[str, dict[str, Any]] = {
    "kubectl create: Forbidden": {"fails": {"create -f": "Forbidden: may not create jobs"}},
    "kubectl get: no route": {"fails": {"get jobs": "no route"}},
    "ErrImagePull it said": state("ErrImagePull"),
    "did not begin within 1 s: ContainerCreating": {
        "status": {
            "containerStatuses": [],
            "conditions": [{"status": "False", "reason": "ContainerCreating"}],
        }
    },
    "no pod was made": {"owner": "somebody"},
    "cannot begin: Evicted": {"status": {"containerStatuses": [], "phase": "Failed",
                                         "reason": "Evicted"}},
    "no pod for the job: FailedCreate exceeded quota": {
        "events": [{"reason": "FailedCreate", "message": "exceeded quota: pods=0"}]
    },
    "not hold what it was told: hostNetwork": {"spec": {"hostNetwork": True}},
    'not cut off from the network: the policy "dns"': {
        "policies": [{"metadata": {"name": "dns"}, "spec": {"podSelector": {}, "egress": [{}]}}]
    },
    "kubectl get: may not list": {"fails": {"get networkpolicies": "may not list"}},
    "kubectl does not answer": {"hangs": "create -f"},
}  # fmt: skip


@pytest.mark.parametrize("said", BROKEN)
def test_what_is_not_as_it_must_be_runs_nothing(
    place: Place, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "_START_S", 1.0 if "begin within" in said else 0.1)
    monkeypatch.setattr(client, "_ANSWER_S", 1.0 if "hangs" in BROKEN[said] else 30.0)
    place.must(**BROKEN[said])
    with pytest.raises(BadConfig, match=said):
        place.run(["true"])
    assert place.objects == []
    assert not place.has_started
    assert not place.told("exec")


LOST: Mapping[str, tuple[dict[str, Any], str]] = {
    "the node": ({"ended": {"reason": "Error"}}, "kubectl exec: command terminated"),
    "the way back": ({"packs": 1}, "kubectl exec: it says nothing"),
    "a part of it": ({"breaks_off": 4000}, "not whole"),
}


@pytest.mark.parametrize("what", LOST)
def test_what_is_lost_is_an_error_and_changes_nothing(
    place: Place, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "_SETTLE_S", 0.1)
    must, said = LOST[what]
    place.must(**must)
    with folder("user") as path:
        (path / "a").write_text("x" * 3000)
        (path / "b").write_text("x" * 3000)
        with pytest.raises(BadConfig, match=said):
            place.run(["sh", "-c", "exit 1"], workspace=path)
        assert sorted(os.listdir(path)) == ["a", "b"]
    assert place.objects == []


def test_what_cannot_be_expressed_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[tuple[type[GatewayError], str, Container, dict[str, Any]]] = [
        (BadConfig, "has no network", JOB, {"network": Egress(["example.org"])}),
        (BadConfig, "needs an image", Container("kubernetes", "", "boxes"), {}),
        (BadConfig, "needs a namespace", Container("kubernetes", "small"), {}),
    ]
    for kind, said, box, wanted in refused:
        with pytest.raises(kind, match=said):
            place.run(["true"], box, **wanted)
    place.must(fails={"config current-context": "current-context is not set"})
    with pytest.raises(BadConfig, match="kubectl config: current-context is not set"):
        place.run(["true"], Container("kubernetes", "small", "boxes"))
    monkeypatch.setattr(client, "PATH", str(place.path / "none"))
    with pytest.raises(BadConfig, match="needs kubectl, which is not installed"):
        place.run(["true"], Container("kubernetes", "small", "boxes"))
    assert not place.has_objects


def test_what_another_left_behind_is_removed_and_what_runs_is_not(place: Place) -> None:
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    (place.path / "objects").mkdir()
    end = "-0123456789abcdef"
    ours = f"octoplex-{os.getpid()}-{client.begun(os.getpid())}{end}"
    for name in (f"octoplex-{ended.pid}-12345{end}", ours, "somebodys"):
        (place.path / "objects" / f"job.{name}").write_text("{}")
    place.run(["true"])
    assert place.objects == sorted([f"job.{ours}", "job.somebodys"])
    label = place.told("get", "jobs")[0][3]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    assert label == f"octoplex.sandbox={boot}-{os.stat('/proc/self/ns/pid').st_ino}"


def test_the_file_must_name_a_namespace() -> None:
    good = {"backend": "kubernetes", "image": "small", "namespace": "boxes"}
    assert SandboxTable(**good).container == Container("kubernetes", "small", "boxes")  # type: ignore[arg-type]
    for wrong in (
        {"namespace": ""}, {"namespace": "A b"}, {"image": ""}, {"tools": ("/opt",)},
        {"context": "--token=x"}, {"context": "a\nb"}, {"backend": "docker"},
        {"backend": "bubblewrap", "namespace": "", "context": "there"},
    ):  # fmt: skip
        with pytest.raises(BadConfig, match=r"\[sandbox\]"):
            SandboxTable(**good | wrong)  # type: ignore[arg-type]


def test_the_shell_says_that_it_is_experimental(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "octoplex.toml"
    box = 'backend = "kubernetes"\nimage = "small"\nnamespace = "boxes"\ncontext = "there"\n'
    limits = 'limits = "4000 processes"\n'
    file.write_text(f'[server]\ndata = "{tmp_path}/data"\n[sandbox]\n{box}{limits}')
    shown = CliRunner().invoke(layers, ["--config", str(file)])
    assert "experimental" in shown.output, shown.output
    looked = CliRunner().invoke(doctor, ["--config", str(file)])
    assert "kubernetes is experimental: never run on a cluster" in looked.output
