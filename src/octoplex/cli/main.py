"""Every command of `octoplex`, and how they all fail: one sentence, a status, no traceback.

Commands live one to a module and are imported when they are run, so that `octoplex --help`
imports click and nothing else. The table below is what help shows of them.

    1    it failed, and the sentence says what to do
    2    it was called wrongly
    130  Ctrl-C
"""

import errno
import os
import resource
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NoReturn

import click

from octoplex.wire.error import GatewayError

COMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("serve:serve", "Start the gateway."),
    "chat": ("chat:chat", "Ask a model, once or in a conversation."),
    "models": ("models:models", "List models and routes, or add a built-in model."),
    "providers": ("providers:providers", "List providers, and which can be used."),
    "keys": ("keys:keys", "Make, list and revoke callers' keys."),
    "tenants": ("tenants:tenants", "List organisations and teams, and what is left."),
    "prices": ("prices:prices", "Put a newer price list in force."),
    "spend": ("spend:spend", "Show what was spent, per key, model and day."),
    "logs": ("logs:logs", "Show requests as they were answered."),
    "cache": ("cache:cache", "Show and empty the caches of routes."),
    "optimize": ("optimize:optimize", "Learn which model is good enough for what."),
    "experiments": ("experiments:experiments", "Show experiments, and what they have found."),
    "memory": ("memory:memory", "Show what agents remember, and have it forgotten."),
    "batches": ("batches:batches", "Show batches, and how far they are."),
    "audit": ("audit:audit", "Show what operators changed, newest first."),
    "config": ("config:config", "Show the configuration in force, and what would change."),
    "reload": ("reload:reload", "Have the running server read its file again."),
    "backup": ("backup:backup", "Copy the data folder into a file, or to a program."),
    "export": ("export:export", "Print spend, attempts or requests for other tools."),
    "check": ("check:check", "Check the configuration without starting."),
    "explain": ("explain:explain", "Show where a model name leads, and why."),
    "import": ("importing.command:import_", "Carry over another gateway's configuration."),
    "doctor": ("doctor:doctor", "Look for what is broken."),
    "mcp": ("mcp:mcp", "Use tools of other servers, and be one."),
    "run": ("run:run", "Give a goal to an agent, and see it done."),
    "runs": ("runs:runs", "Show tasks of agents, resume, cancel and replay them."),
    "sandbox": ("sandbox:sandbox", "Run a program where it can do no harm."),
    "mock": ("mock:mock", "Serve a scripted provider, for tests."),
}


class Shell(click.Group):
    """The commands, imported when asked for, under one way of failing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"octoplex.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, says) for name, (_, says) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; whatever goes wrong becomes one sentence."""
        _have_streams()
        _leave_no_core()
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo(err=True)
            sys.exit(128 + signal.SIGINT)
        except GatewayError as error:
            fail(str(error))
        except OSError as error:
            if error.errno == errno.EPIPE:
                _quiet_pipe()
            fail(f"{error.filename or 'the system'}: {error.strerror or error}.")
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            fail(_said_of(error))


def fail(sentence: str) -> NoReturn:
    """Say why, and end with status 1."""
    click.echo(f"octoplex: {' '.join(sentence.split())}", err=True)
    sys.exit(1)


def _said_of(error: Exception) -> str:
    """A sentence for what nobody made a sentence of."""
    if isinstance(error, UnicodeEncodeError):
        return "What was typed or piped in is not UTF-8."
    if type(error).__module__ == "sqlite3":  # importing it to name it costs 5 ms
        return f"The data folder cannot be used: {error}; `octoplex doctor` says more."
    return f"{type(error).__name__}: {error}. (octoplex --debug shows where.)"


def _have_streams() -> None:
    """Whoever started us may have closed them; then nothing is heard of us."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - as long as the process


def _leave_no_core() -> None:
    """A core holds every key that the process has: neither a file nor a program is given one.

    A limit of one byte is what the kernel also heeds where a program would get it (core(5)).
    """
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    limit = 1 if hard == resource.RLIM_INFINITY else min(1, hard)
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))


def _quiet_pipe() -> NoReturn:
    """Whoever read us has gone (`| head`): that is no failure, and nothing can be said."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


@click.group(cls=Shell, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="octoplex", message="octoplex %(version)s")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def main(debug: bool) -> None:
    """One front door to every language model.

    Start with `octoplex serve`, or ask at once: `octoplex chat Say hello`.
    """
