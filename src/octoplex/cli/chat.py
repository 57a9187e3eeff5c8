"""`octoplex chat`: ask once, from the arguments or stdin, or hold a conversation.

The gateway runs in this process; only when a server has the data folder is that server
asked, because a folder has one writer. Text goes to stdout and nothing else does, so the
answer can be piped; thinking is shown dim on a terminal; the cost goes to stderr. Ctrl-C
stops an answer and closes the provider's connection.

Control characters of a model's text never reach a terminal.
"""

import contextlib
import re
import sys
import time
from collections.abc import Mapping
from typing import Any

import click

from octoplex.cli.place import config_option, json_option
from octoplex.cli.show import colour_allowed, print_json
from octoplex.client import ChatReply, ChatStream, Octoplex
from octoplex.ledger import dollars
from octoplex.settings import environment
from octoplex.wire.error import GatewayError, InvalidCall, StoreFailed, Unauthorized
from octoplex.wire.event import Event, RefusalDelta, TextDelta, ThinkingDelta

with contextlib.suppress(ImportError):  # not on Windows; it lets `input` edit a line
    import readline  # noqa: F401

BUILT_IN = "octoplex/smollm2"
STOPPED = 130
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@click.command()
@click.argument("words", metavar="[TEXT]...", nargs=-1)
@click.option("-m", "--model", help="A route or provider/model; default: the first route.")
@click.option("--system", help="What the model is told about its part.")
@click.option("--url", help="Ask this server instead; its key is in OCTOPLEX_API_KEY.")
@config_option
@json_option
def chat(
    words: tuple[str, ...],
    model: str | None,
    system: str | None,
    url: str | None,
    config: str | None,
    as_json: bool,
) -> None:
    """Ask a model, once or in a conversation.

    Without TEXT it is read from stdin ("-" among the words stands for it too); on a
    terminal a conversation begins.
    """
    text = _asked(words)
    if text == "":
        raise InvalidCall("There is nothing to ask; write it as arguments or on stdin.")
    env = environment()
    with client_of(env, config, url) as client, hint_at_key():
        talk = Talk(client, model or _first(client), system, env)
        if text is None:
            talk.converse()
        elif as_json:
            print_json(shown(talk.whole(text)))
        elif not talk.say(text):
            sys.exit(STOPPED)


def _asked(words: tuple[str, ...]) -> str | None:
    """What is asked; None on a terminal without words."""
    stdin = sys.stdin
    if not words:
        return None if stdin.isatty() else stdin.read().strip()
    return " ".join(stdin.read() if word == "-" else word for word in words).strip()


def client_of(env: Mapping[str, str], config: str | None, url: str | None) -> Octoplex:
    """A client in process, or of the server that has the data folder."""
    if url:
        return Octoplex(url=url, env=env)
    client = Octoplex(config=config, env=env)
    try:
        return client.__enter__()
    except StoreFailed as error:
        client.close()
        address = error.facts.get("address")
        if not address:
            raise
        return Octoplex(url=str(address), env=env)
    except BaseException:
        client.close()
        raise


@contextlib.contextmanager
def hint_at_key() -> Any:
    """Say which variable holds the server's key, where it wants one."""
    try:
        yield
    except Unauthorized as error:
        raise Unauthorized(
            f"The server wants a key: set OCTOPLEX_API_KEY to one it knows ({error})."
        ) from None


def _first(client: Octoplex) -> str:
    """The first route; without one the built-in model, or whatever can be asked."""
    offers = client.models()
    routes = [o.id for o in offers if "/" not in o.id]
    usable = [o.id for o in offers if o.available]
    return (routes or [BUILT_IN] * (BUILT_IN in usable) or usable or [BUILT_IN])[0]


class Talk:
    """A conversation with one model."""

    def __init__(
        self, client: Octoplex, model: str, system: str | None, env: Mapping[str, str]
    ) -> None:
        self._client, self._model = client, model
        self._system: dict[str, Any] = {} if system is None else {"system": system}
        self._turns: list[dict[str, str]] = []
        self._screen = Screen(env)

    def whole(self, text: str) -> ChatReply:
        """Ask once, without streaming."""
        reply: ChatReply = self._client.chat(self._model, text, **self._system)
        return reply

    def say(self, text: str) -> bool:
        """Say something and show the answer as it comes. False when it was stopped."""
        self._turns.append({"role": "user", "content": text})
        began_at = time.monotonic()
        try:
            stream = self._client.chat(self._model, self._turns, stream=True, **self._system)
        except BaseException:
            self._turns.pop()
            raise
        with stream:
            return self._show(stream, began_at)

    def _show(self, stream: ChatStream, began_at: float) -> bool:
        pieces: list[str] = []
        try:
            for event in stream:
                self._screen.show(event)
                if isinstance(event, TextDelta | RefusalDelta):
                    pieces.append(event.text)
            self._screen.end()
            self._screen.note(cost_line(stream.reply(), time.monotonic() - began_at))
            return True
        except KeyboardInterrupt:
            stream.close()
            self._screen.end()
            self._screen.note("(stopped)")
            return False
        except GatewayError:
            self._screen.end()
            raise
        finally:
            self._turns.append({"role": "assistant", "content": "".join(pieces)})

    def converse(self) -> None:
        """Ask and answer until Ctrl-D."""
        self._screen.note(f"{self._model}. Ctrl-C stops an answer, Ctrl-D leaves.")
        while True:
            try:
                text = input("> ").strip()
            except EOFError:
                click.echo()
                return
            except KeyboardInterrupt:
                click.echo()
                continue
            if text:
                self._try(text)

    def _try(self, text: str) -> None:
        try:
            self.say(text)
        except KeyboardInterrupt:
            self._screen.note("(stopped)")
        except GatewayError as error:
            self._screen.note(f"octoplex: {error}")


class Screen:
    """Where text, thinking and notes go."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._terminal = sys.stdout.isatty()
        self._dim = colour_allowed(env, sys.stdout)
        self._dim_notes = colour_allowed(env, sys.stderr)
        self._thinking = self._written = False

    def show(self, event: Event) -> None:
        """Show what an event says, if anything."""
        if isinstance(event, ThinkingDelta):
            if self._terminal and event.text:
                self._think(event.text)
        elif isinstance(event, TextDelta | RefusalDelta):
            if self._thinking:
                self._thinking = False
                click.echo()
            self._write(event.text, dim=False)

    def end(self) -> None:
        """The answer is over: end its line."""
        if self._written:
            click.echo()
        self._thinking = self._written = False

    def note(self, text: str) -> None:
        """Say something beside the answer."""
        click.echo(click.style(text, dim=True) if self._dim_notes else text, err=True)

    def _think(self, text: str) -> None:
        if not self._thinking:
            self._thinking = True
            text = text if self._dim else f"(thinking) {text}"
        self._write(text, dim=self._dim)

    def _write(self, text: str, *, dim: bool) -> None:
        self._written = True
        if self._terminal:
            text = _CONTROL.sub("", text)
        click.echo(click.style(text, dim=True) if dim else text, nl=False, color=dim or None)
        sys.stdout.flush()


def cost_line(reply: ChatReply, took_s: float) -> str:
    """`openai/gpt-5-mini, 12 in + 30 out tokens, $0.0001, 1.2 s`."""
    usage = reply.usage
    cost = "cost unknown" if reply.cost_nano is None else dollars(reply.cost_nano)
    cost = f"~{cost}" if reply.receipt.estimated else cost
    name = reply.receipt.target or reply.model
    tokens = f"{usage.input_tokens} in + {usage.output_tokens} out tokens"
    return f"{name}, {tokens}, {cost}, {took_s:.1f} s"


def shown(reply: ChatReply) -> dict[str, Any]:
    """A reply as `--json` prints it."""
    return {
        "text": reply.text,
        "thinking": reply.thinking,
        "tool_calls": reply.tool_calls,
        "stop": reply.stop,
        "model": reply.model,
        "usage": reply.usage,
        "cost_nano": reply.cost_nano,
        "request_id": reply.request_id,
        "target": reply.receipt.target,
        "route": reply.receipt.route,
    }
