"""What is measured: the mock itself, a bare Go proxy, Octoplex, LiteLLM's proxy, Portkey's gateway.

A subject says how it is started and how a workload is asked of it. Each runs in an environment of
its own, one worker, pinned to one core, with logging to the console reduced, as its documentation
advises for production. What each had switched on is stated in ``features`` and printed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench import configs, tools
from bench.process import clean_environment
from bench.workloads import Workload, body

SECRET = "sk-bench-0123456789abcdef0123456789abcdef"
UPSTREAM_KEY = "sk-upstream-0123456789abcdef"
FEATURES = ("key check", "limit", "budget", "ledger", "request record", "metrics")


@dataclass(frozen=True)
class Site:
    """Where one run takes place: folders and the ports of the two mocks."""

    folder: Path
    plain: int
    secure: int
    authority: Path

    def origin(self, tls: bool) -> str:
        """Return the mock's origin."""
        return f"https://127.0.0.1:{self.secure}" if tls else f"http://127.0.0.1:{self.plain}"


@dataclass(frozen=True)
class Asked:
    """One request as a subject wants it."""

    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Subject(Protocol):
    """One row of the report."""

    name: str
    features: frozenset[str]

    def command(self, site: Site, port: int) -> tuple[list[str], dict[str, str]]:
        """Install and configure; return the command and its environment (empty: no program)."""
        ...

    def ask(self, workload: Workload, site: Site) -> Asked | None:
        """Return the request for a workload, or None where the subject does not offer it."""
        ...


def door(workload: Workload) -> str:
    """Return the client's path in its own dialect."""
    return "/v1/chat/completions" if workload.client == "chat" else "/v1/messages"


def bare_model(workload: Workload) -> str:
    """Return the model's name at the mock; the mock paces streams of ``gpt-paced``."""
    if workload.paced:
        return "gpt-paced"
    return "gpt-mock" if workload.upstream == "chat" else "claude-mock"


def credentials(workload: Workload, secret: str) -> dict[str, str]:
    """Return the headers with which the client's dialect carries its key."""
    if workload.client == "chat":
        return {"authorization": f"Bearer {secret}"}
    return {"x-api-key": secret, "anthropic-version": "2023-06-01"}


class Direct:
    """The load generator straight to the mock: what all others add to."""

    name = "direct"
    features: frozenset[str] = frozenset()

    def command(self, site: Site, port: int) -> tuple[list[str], dict[str, str]]:
        return [], {}

    def ask(self, workload: Workload, site: Site) -> Asked | None:
        """Ask in the client's dialect; over TLS there is no row (the load speaks plain only)."""
        if workload.tls:
            return None
        return Asked(door(workload), body(workload, bare_model(workload)))


class Go:
    """The yardstick: a bare Go reverse proxy, which passes everything on and knows nothing."""

    name = "go"
    features: frozenset[str] = frozenset()

    def command(self, site: Site, port: int) -> tuple[list[str], dict[str, str]]:
        argv = [str(tools.TOOL), "proxy", "-port", str(port), "-plain", site.origin(False)]
        argv += ["-secure", site.origin(True), "-ca", str(site.authority)]
        return argv, clean_environment(site.folder, {"GOMAXPROCS": "1"})

    def ask(self, workload: Workload, site: Site) -> Asked | None:
        """Ask in the client's dialect: where others translate, Go passes the same stream on."""
        prefix = "/tls" if workload.tls else ""
        headers = credentials(workload, UPSTREAM_KEY)
        return Asked(prefix + door(workload), body(workload, bare_model(workload)), headers)


class Octoplex:
    """This project, from this working tree, with everything on that the others have.

    `more` are tables of the file beside: a variant is measured when it is asked for by name.
    `source` is another tree's `src`, to be measured beside this one in the same run.
    """

    features = frozenset(FEATURES)

    def __init__(
        self, name: str = "octoplex", server: str = "", more: str = "", source: Path | None = None
    ) -> None:
        self.name, self.server, self.more, self.source = name, server, more, source

    def command(self, site: Site, port: int) -> tuple[list[str], dict[str, str]]:
        binary = Path(sys.executable).parent / "octoplex"
        if not binary.is_file():
            raise tools.BenchError("no octoplex command beside this Python; run `make setup`")
        folder = site.folder / self.name
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "octoplex.toml"
        text = configs.octoplex(site.origin(False), site.origin(True), folder / "data")
        config.write_text(text.replace("[server]\n", f"[server]\n{self.server}\n", 1) + self.more)
        keys = {"BENCH_KEY": SECRET, "BENCH_UPSTREAM_KEY": UPSTREAM_KEY}
        env = clean_environment(folder, {**keys, "SSL_CERT_FILE": str(site.authority)})
        if self.source:
            env["PYTHONPATH"] = str(self.source.resolve())
        return [str(binary), "serve", "--config", str(config), "--port", str(port)], env

    def ask(self, workload: Workload, site: Site) -> Asked | None:
        provider = "mock" if workload.upstream == "chat" else "anth"
        model = f"{provider}{'tls' if workload.tls else ''}/{bare_model(workload)}"
        return Asked(door(workload), body(workload, model), credentials(workload, SECRET))


class LiteLLM:
    """LiteLLM's proxy: one worker, master key, prices known, no database (so no budgets)."""

    name = "litellm"
    features = frozenset({"key check"})

    def command(self, site: Site, port: int) -> tuple[list[str], dict[str, str]]:
        binary = tools.ensure_litellm()
        folder = site.folder / "litellm"
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "config.yaml"
        config.write_text(configs.litellm(site.origin(False), site.origin(True), SECRET))
        extra = {
            "SSL_CERT_FILE": str(site.authority),
            "UPSTREAM_KEY": UPSTREAM_KEY,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
            "NO_DOCS": "True",
        }
        argv = [str(binary), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
        return [*argv, "--num_workers", "1"], clean_environment(folder, extra)

    def ask(self, workload: Workload, site: Site) -> Asked | None:
        model = bare_model(workload) + ("-tls" if workload.tls else "")
        return Asked(door(workload), body(workload, model), credentials(workload, SECRET))


class Portkey:
    """Portkey's open gateway: it has no keys, limits, budgets or records of its own."""

    name = "portkey"
    features: frozenset[str] = frozenset()

    def command(self, site: Site, port: int) -> tuple[list[str], dict[str, str]]:
        script = tools.ensure_portkey()
        folder = site.folder / "portkey"
        folder.mkdir(parents=True, exist_ok=True)
        extra = {"NODE_EXTRA_CA_CERTS": str(site.authority), "NODE_ENV": "production"}
        argv = ["node", str(script), f"--port={port}", "--headless"]
        return argv, clean_environment(folder, extra)

    def ask(self, workload: Workload, site: Site) -> Asked | None:
        """Ask with the provider in headers; it has no Anthropic door to an OpenAI upstream."""
        if workload.client == "messages":
            return None
        headers = {
            "authorization": f"Bearer {UPSTREAM_KEY}",
            "x-portkey-provider": "openai" if workload.upstream == "chat" else "anthropic",
            "x-portkey-custom-host": site.origin(workload.tls) + "/v1",
        }
        return Asked(door(workload), body(workload, bare_model(workload)), headers)


def all_subjects() -> dict[str, Subject]:
    """Return every subject by name, in the order of the report."""
    subjects: list[Subject] = [Direct(), Go(), Octoplex(), LiteLLM(), Portkey(), *VARIANTS]
    return {subject.name: subject for subject in subjects}


GUARD = "\n[guard]\npii = 'mask'\nsecrets = 'block'\ninjection = 'flag'\n"
VARIANTS = (
    Octoplex("octoplex-guard", more=GUARD),
    Octoplex("octoplex-2", server="workers = 2"),
)
"""Octoplex with more switched on; for `--only`."""
