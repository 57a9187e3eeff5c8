"""What a cluster is told of a run: a job with one pod, and a policy that cuts the pod off.

    program    runs what is asked for: its limits, `/files` read-only, a `/tmp` in memory
    keeper     the same image, beside it: takes the workspace in and hands it out (`luggage.py`)

Both wait in `sleep` until they are told what to do. Neither may write its root, has a capability, a
way to new ones, or a token of the cluster. The user is one that nobody has, for each run another.

`differs` and `opened` look whether the cluster holds it: what admits pods there may change them.

References: kubernetes.io/docs/reference/kubernetes-api: Job v1, Pod v1, NetworkPolicy v1;
kubernetes.io/docs/concepts/security/pod-security-standards, "Restricted".
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from octoplex.sandbox.bubblewrap import FILES, INSIDE, SHM, TMP
from octoplex.sandbox.client import LABEL
from octoplex.sandbox.work import Work

PROGRAM, KEEPER = "program", "keeper"
RUN = "octoplex.run"
GIVEN, TOLD = "/octoplex", "/told"
"""Where the script lies that starts the program, and where that writes how it ended."""
_SPARE_S = 900
"""What a job may take beside the program: to be placed, to have its image, to move files."""
_KEPT_S = 60
_ROOM = 64 << 20
_OMITTED = ("hostNetwork", "hostPID", "hostIPC", "readOnly")
"""What a cluster leaves out where it is false; all else that is left out means something else."""
_UNITS = {"": 0, "n": -3, "u": -2, "m": -1, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}


def job(work: Work, name: str, origin: str, user: int) -> dict[str, Any]:
    """The job. `origin` says which machine made it."""
    labels = {LABEL: origin, RUN: name}
    most_s = int(work.limits.seconds) + _SPARE_S
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": most_s,
            "ttlSecondsAfterFinished": _KEPT_S,
            "template": {"metadata": {"labels": labels}, "spec": _pod(work, user, most_s)},
        },
    }


def policy(name: str, origin: str, uid: str) -> dict[str, Any]:
    """Nothing in, nothing out. It goes when the job goes."""
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": {LABEL: origin}, "ownerReferences": [owner]},
        "spec": {
            "podSelector": {"matchLabels": {RUN: name}},
            "policyTypes": ["Ingress", "Egress"],
        },
    }


def _pod(work: Work, user: int, most_s: int) -> dict[str, Any]:
    limits = work.limits
    ids = {"runAsNonRoot": True, "runAsUser": user, "runAsGroup": user}
    walls = ids | {"seccompProfile": {"type": "RuntimeDefault"}}
    own = {
        "securityContext": walls
        | {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "image": work.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", str(most_s)],
    }
    disk = str(limits.disk + _ROOM)
    seen, kept, volumes = _places(work)
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "shareProcessNamespace": False,
        "hostname": "sandbox",
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["127.0.0.1"]},
        "securityContext": walls,
        "containers": [
            own
            | {
                "name": PROGRAM,
                "workingDir": INSIDE if work.workspace else TMP,
                "resources": _resources(str(limits.memory), disk),
                "volumeMounts": seen,
            },
            own
            | {
                "name": KEEPER,
                "workingDir": "/",
                "resources": _resources("128Mi", disk),
                "volumeMounts": kept,
            },
        ],
        "volumes": volumes,
    }


def _resources(memory: str, disk: str) -> dict[str, Any]:
    most = {"memory": memory, "cpu": "1", "ephemeral-storage": disk}
    return {"limits": most, "requests": most | {"cpu": "100m"}}


def _places(work: Work) -> tuple[list[Any], list[Any], list[Any]]:
    """What the program sees, what the keeper does, and the volumes themselves."""
    disk = str(work.limits.disk)
    volumes: list[Any] = [
        {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": disk}},
        {"name": "given", "emptyDir": {"sizeLimit": str(8 << 20)}},
        {"name": "told", "emptyDir": {"sizeLimit": str(1 << 20)}},
    ]
    seen: list[Any] = [_mount("tmp", TMP), _mount("tmp", SHM)]
    seen += [_mount("given", GIVEN, may_write=False), _mount("told", TOLD)]
    kept: list[Any] = [_mount("given", GIVEN), _mount("told", TOLD, may_write=False)]
    for name, place, is_there in (
        ("files", FILES, bool(work.files)),
        ("workspace", INSIDE, work.workspace is not None),
    ):
        if is_there:
            volumes.append({"name": name, "emptyDir": {"sizeLimit": disk}})
            seen.append(_mount(name, place, may_write=name != "files"))
            kept.append(_mount(name, place))
    return seen, kept, volumes


def _mount(name: str, place: str, *, may_write: bool = True) -> dict[str, Any]:
    return {"name": name, "mountPath": place, "readOnly": not may_write}


def differs(held: Any, wanted: Mapping[str, Any]) -> str:
    """What a pod's `spec` holds otherwise than the job's template wants it; "" if nothing."""
    if not isinstance(held, dict):
        return "spec"
    for name in ("initContainers", "ephemeralContainers"):
        if held.get(name):
            return name
    for container in held.get("containers") or ():
        added = ((container.get("securityContext") or {}).get("capabilities") or {}).get("add")
        if added or any(container.get(name) for name in ("lifecycle", "volumeDevices", "envFrom")):
            return f"containers.{container.get('name')}"
    return _differs(held, wanted, "")


def _differs(held: Any, wanted: Any, place: str) -> str:
    if isinstance(wanted, dict):
        found = held if isinstance(held, dict) else {}
        for key, value in wanted.items():
            one = found.get(key, False if key in _OMITTED else None)
            if where := _differs(one, value, f"{place}.{key}"):
                return where
        return ""
    if isinstance(wanted, list):
        if not isinstance(held, list) or len(held) != len(wanted):
            return place[1:]
        pairs = enumerate(zip(held, wanted, strict=True))
        return next(filter(None, (_differs(*two, f"{place}.{n}") for n, two in pairs)), "")
    is_same = held == wanted or _amount(held) == _amount(wanted) is not None
    return "" if is_same else place[1:]


def _amount(text: Any) -> Fraction | None:
    """A quantity as the cluster writes it, which is not always as it was told."""
    if not isinstance(text, str):
        return None
    base = 1024 if text.endswith("i") else 1000
    figure = text.removesuffix("i").rstrip("numkKMGTPE")
    unit = text.removesuffix("i")[len(figure) :].replace("K", "k")
    if not figure.isdecimal() or unit not in _UNITS:
        return None
    return Fraction(figure) * Fraction(base) ** _UNITS[unit]


def opened(policies: Iterable[Any], name: str, labels: Mapping[str, str]) -> str:
    """Why a pod with these labels is not cut off; "" if it is. Policies add up: one that lets
    something through is not undone by another that does not."""
    ours = ""
    for one in policies:
        spec, called = one.get("spec") or {}, str((one.get("metadata") or {}).get("name"))
        if not _selects(spec.get("podSelector") or {}, labels):
            continue
        if spec.get("ingress") or spec.get("egress"):
            return f'the policy "{called[:80]}" lets something through to all that it selects'
        if called == name and {"Ingress", "Egress"} <= set(spec.get("policyTypes") or ()):
            ours = called
    return "" if ours else "there is no policy that denies it everything"


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    exact = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in exact.items()) and all(
        _holds(one, labels) for one in selector.get("matchExpressions") or ()
    )


def _holds(one: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """What is not understood is taken to select: that refuses, and lets nothing through."""
    key, values = one.get("key", ""), one.get("values") or ()
    match one.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return True
