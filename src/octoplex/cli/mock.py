"""`octoplex mock`: a scripted provider on loopback, in both dialects, for users' own tests.

    octoplex mock --port 9090 --script turns.toml

What a script says is in `server/mock.py`. Without one it repeats what it is told.
"""

import asyncio
import logging
from pathlib import Path

import click
import uvicorn

from octoplex.server.mock import Mock, Script, Turn, read_script
from octoplex.server.serve import Options, bind
from octoplex.settings import Server, Settings
from octoplex.wire.error import BadConfig


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Listen here; 0: any.")
@click.option("--script", metavar="FILE", help="Turns to play (TOML); without: repeat the caller.")
@click.option("--text", default="", help="Say this, always; shorter than a script.")
@click.option("--key", default="", help="Refuse every other key with a 401.")
def mock(port: int, script: str | None, text: str, key: str) -> None:
    """Serve a scripted provider, for tests.

    It speaks OpenAI's Chat Completions and Anthropic's Messages. GET /book shows every
    request it was sent.
    """
    played = _script(script, text)
    listen = Settings(server=Server(listen=f"127.0.0.1:{port}"))
    place = bind(listen, Options(config=None, env={}, port=port))
    click.echo(f"The mock is listening on {place.url}")
    click.echo(f"  OPENAI_BASE_URL={place.url}/v1 ANTHROPIC_BASE_URL={place.url}")
    click.echo(f"  its book: curl {place.url}/book")
    # A script that breaks a connection does so by an exception, which is not worth a line.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        Mock(played, key), lifespan="off", ws="none", log_config=None, access_log=False
    )
    asyncio.run(uvicorn.Server(config).serve([place.socket]))


def _script(path: str | None, text: str) -> Script:
    if path is None:
        return Script((Turn(text=text),))
    try:
        return read_script(Path(path).read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path}: cannot be read: {error}.") from None
