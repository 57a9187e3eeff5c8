"""What a start prints: at most ten lines, the last of which can be pasted.

The request at the end names the first model that can be asked now, and carries a key only
as a shell expression that reads it where the configuration does: the secret itself is
never printed.
"""

import shutil
from collections.abc import Sequence

import click

from octoplex.gateway import Gateway
from octoplex.reflex.keys import Key
from octoplex.server.serve import Place
from octoplex.upstreams.local.fleet import LOCAL

MANUAL = "octoplex --help, README.md"


def banner(gateway: Gateway, place: Place) -> None:
    """Say where it listens, what it found, and a request that works."""
    width = shutil.get_terminal_size((100, 24)).columns
    said = (_where(place), *_admin(place), *_found(gateway), *_about(gateway))
    lines = [_cut(line, width) for line in said]
    click.echo("\n".join([*lines, *request(gateway, place)]))


def _where(place: Place) -> str:
    taken = f" ({place.asked} is taken)" if place.asked else ""
    return f"Octoplex is listening on {place.url}{taken}"


def _admin(place: Place) -> list[str]:
    return [f"  admin      {place.admin.url}/admin/status"] if place.admin else []


def _found(gateway: Gateway) -> list[str]:
    plan = gateway.plan
    remote = [f"{s.id} ({s.found})" for s in plan.sources.values() if s.usable and not s.local]
    local = [s.id for s in plan.sources.values() if s.usable and s.local]
    why = plan.unavailable(f"{LOCAL}/smollm2")
    built_in = f"octoplex/smollm2 ({why})" if why else "octoplex/smollm2 (built in)"
    none = "none; set OPENAI_API_KEY, ANTHROPIC_API_KEY or another and start again"
    return [
        f"  providers  {', '.join(remote) or none}",
        f"  local      {', '.join([built_in, *local])}",
    ]


def _about(gateway: Gateway) -> list[str]:
    keys = [key.name for key in gateway.works.keyring]
    return [
        f"  keys       {', '.join(keys) or 'none needed on this machine'}",
        f"  config     {gateway.settings.origin or 'no file (octoplex.toml)'}",
        f"  data       {gateway.works.data}",
        f"  read on    {MANUAL}",
    ]


def request(gateway: Gateway, place: Place) -> Sequence[str]:
    """A curl that works as pasted, or what must be done before one can."""
    key = next(iter(gateway.works.keyring), None)
    model = _model(gateway, key)
    if not model:
        return ["No model can be asked yet. Run: octoplex models add smollm2"]
    auth = f' -H "Authorization: Bearer {_expression(gateway, key)}"' if key else ""
    trust = f" --cacert {gateway.settings.server.tls.cert}" if gateway.settings.server.tls else ""
    messages = '"messages":[{"role":"user","content":"Say hello."}]'
    # A small model may ramble on for minutes: the first answer is to come at once.
    short = ',"max_tokens":60' if model.startswith(f"{LOCAL}/") else ""
    body = f'{{"model":"{model}",{messages}{short}}}'
    curl = f"curl{trust} {place.url}/v1/chat/completions{auth} -d '{body}'"
    return ["Try:", curl]


def _model(gateway: Gateway, key: Key | None) -> str:
    """The first name that can be asked: a route, the built-in model, any other."""
    plan = gateway.plan
    names = [n for n in plan.routes if "*" not in n and "?" not in n]
    names += [n for n in plan.listed() if not plan.unavailable(n)]
    return next((n for n in names if key is None or key.allows(n)), "")


def _expression(gateway: Gateway, key: Key | None) -> str:
    """Where a shell finds the key's secret."""
    table = gateway.settings.keys.get(key.name) if key else None
    scheme, _, rest = (table.secret if table else "").partition(":")
    return {"env": f"${rest}", "file": f"$(cat {rest})"}.get(scheme, "$KEY")


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"
