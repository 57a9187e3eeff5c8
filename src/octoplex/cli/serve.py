"""`octoplex serve`: start the gateway and say where to look."""

import logging
import time

import click
import msgspec

from octoplex.cli.banner import banner
from octoplex.cli.place import config_option, named
from octoplex.server.serve import Options
from octoplex.server.supervisor.parent import serve as run
from octoplex.settings import environment, find, load, wanted_workers
from octoplex.wire.error import BadConfig
from octoplex.wire.redact import redact


class TextLines(logging.Formatter):
    """`12:00:00 WARNING octoplex.server: ...`, without secrets."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class JsonLines(logging.Formatter):
    """One JSON object a line, times in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "at": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            line["error"] = redact(self.formatException(record.exc_info))
        return msgspec.json.encode(line).decode()


@click.command()
@config_option
@click.option("--port", type=click.IntRange(0, 65_535), help="Listen here; taken is an error.")
@click.option("--host", help="Listen on this address instead of the file's.")
@click.option("--workers", help="So many processes answer, or auto: as many as there are cores.")
def serve(config: str | None, port: int | None, host: str | None, workers: str | None) -> None:
    """Start the gateway.

    Without a file it serves every provider whose key is in the environment, every model
    server found on this machine, and the built-in model.
    """
    env = environment()
    path = find(env, config)
    sink = logging.StreamHandler()
    sink.setFormatter(JsonLines() if load(path).server.log == "json" else TextLines())
    logging.basicConfig(level=logging.WARNING, handlers=[sink])
    logging.getLogger("octoplex").setLevel(logging.INFO)
    try:
        count = wanted_workers(workers)
        run(Options(config=path, env=env, host=host, port=port, workers=count), banner)
    except BadConfig as error:
        raise named(error, path) from None
