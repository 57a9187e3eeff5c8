"""What a start prints: at most ten lines, the last of which can be pasted."""

import shutil

import click

from octoplex.gateway import Gateway
from octoplex.server.serve import Place

README = "https://github.com/octoplex/octoplex#readme"


def banner(gateway: Gateway, place: Place) -> None:
    """Say where it listens, what it found, and a request that works."""
    plan, works = gateway.plan, gateway.works
    lines = [f"Octoplex is listening on {place.url}"]
    if place.asked:
        lines[0] += f" ({place.asked} is taken)"
    lines.append(f"  data       {works.data}")
    lines.append(f"  config     {gateway.settings.origin or 'none (octoplex.toml)'}")
    remote = [f"{s.id} ({s.evidence})" for s in plan.sources.values() if s.usable and not s.local]
    local = [s.id for s in plan.sources.values() if s.usable and s.local]
    lines.append(f"  providers  {', '.join(remote) or 'none: set OPENAI_API_KEY or another'}")
    lines.append(f"  local      {', '.join(['octoplex (built in)', *local])}")
    lines.append(f"  keys       {len(works.keyring) or 'none needed on this machine'}")
    lines.append("  read on    octoplex --help, README.md")
    width = shutil.get_terminal_size((100, 20)).columns
    lines = [line if len(line) <= width else line[: width - 1] + "…" for line in lines]
    auth = ' -H "Authorization: Bearer $KEY"' if gateway.needs_key else ""
    body = '{"model":"octoplex/smollm2","messages":[{"role":"user","content":"Say hello."}]}'
    lines += ["Try:", f"curl {place.url}/v1/chat/completions{auth} -d '{body}'"]
    click.echo("\n".join(lines))
