"""`octoplex chat`: once, in a pipe, through a server, and as a conversation on a terminal."""

import json
import os
import pty
import select
import signal
import subprocess
import time

from octoplex.server.mock import Script, Turn
from tests.shell import Home, Mocked, command, run, serving, started, until

NOT_UTF8 = b"octoplex: What was typed or piped in is not UTF-8.\n"


def test_once_from_arguments_and_from_stdin(home: Home, mock: Mocked) -> None:
    done = run(home, "chat", "Say", "hello", status=0)
    assert done.out == "You said: Say hello\n"
    assert done.err.startswith("mock/m, ")
    assert "tokens, $0." in done.err
    assert run(home, "chat", stdin="From a pipe\n", status=0).out == "You said: From a pipe\n"
    assert run(home, "chat", "Sum:", "-", stdin="1 2", status=0).out == "You said: Sum: 1 2\n"
    run(home, "chat", "-m", "anthro/c", "--system", "Be kind.", "Hi", status=0)
    entry = mock.app.book[-1]
    assert (entry.dialect, entry.model) == ("anthropic", "c")
    assert b"Be kind." in bytes(entry.body)


def test_json_is_one_object(home: Home, mock: Mocked) -> None:
    mock.app.play(Script((Turn(thinking="Hm.", text="Yes.", input_tokens=1, output_tokens=2),)))
    shown = json.loads(run(home, "chat", "--json", "Well?", status=0).out)
    assert (shown["text"], shown["thinking"], shown["stop"]) == ("Yes.", "Hm.", "end")
    assert (shown["target"], shown["cost_nano"]) == ("mock/m", 5000)


def test_a_server_that_has_the_folder_is_asked(home: Home) -> None:
    with serving(home):
        assert run(home, "chat", "Hello", status=0).out == "You said: Hello\n"
        run(home, "keys", "new", "app", status=0)
        said = run(home, "chat", "Hello").failed_with_a_sentence()
        assert "OCTOPLEX_API_KEY" in said
        assert "secret" not in said


def test_failures_are_sentences(home: Home, mock: Mocked) -> None:
    assert "nowhere" in run(home, "chat", "-m", "nowhere", "Hi").failed_with_a_sentence()
    assert "nothing to ask" in run(home, "chat").failed_with_a_sentence()
    url = ["--url", "http://127.0.0.1:9"]
    assert "127.0.0.1:9" in run(home, "chat", *url, "-m", "x", "Hi").failed_with_a_sentence()
    mock.app.play(Script((Turn(text="one two three four", end="cut"),)))
    done = run(home, "chat", "Hi")
    assert done.out.startswith("one ")
    assert "octoplex: " in done.failed_with_a_sentence()


def test_what_is_no_text_and_where_nothing_is_heard_are_sentences_too(home: Home) -> None:
    words = command("chat", os.fsdecode(b"caf\xe9"))
    options = {"env": home.env, "cwd": home.path, "check": False, "timeout": 30}
    typed = subprocess.run(words, capture_output=True, **options)  # type: ignore[call-overload]
    assert (typed.returncode, typed.stderr) == (1, NOT_UTF8)
    piped = subprocess.run(command("chat"), input=b"caf\xe9", capture_output=True, **options)  # type: ignore[call-overload]
    assert (piped.returncode, piped.stderr) == (1, NOT_UTF8)
    closed = ["sh", "-c", '"$@" >&-', "sh", *command("providers")]
    unheard = subprocess.run(closed, capture_output=True, **options)  # type: ignore[call-overload]
    assert (unheard.returncode, unheard.stderr) == (0, b"")
    home.more["SSL_CERT_FILE"] = "/nowhere/roots.pem"
    said = run(home, "chat", "Hi").failed_with_a_sentence()
    assert "SSL_CERT_FILE=/nowhere/roots.pem" in said


def test_ctrl_c_stops_an_answer(home: Home, mock: Mocked) -> None:
    mock.app.play(Script((Turn(text="one two three", end="stall"),)))
    with started(home, "chat", "Hi") as process:
        process.wait_for("one")
        process.process.send_signal(signal.SIGINT)
        until(lambda: process.process.poll() is not None, "the end")
        assert process.end() == 130
        assert process.out.splitlines() == ["one ", "(stopped)"]
    until(lambda: mock.app.book[0].outcome == "left", "the upstream's end")


class Terminal:
    """A command on a pseudo-terminal."""

    def __init__(self, home: Home, *words: str) -> None:
        self._ours, theirs = pty.openpty()
        env = {**home.env, "TERM": "xterm"}
        self.process = subprocess.Popen(
            command(*words), env=env, cwd=home.path, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True, preexec_fn=lambda: _controlling(theirs),
        )  # fmt: skip
        os.close(theirs)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + 20
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self._ours], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self._ours, 65536).decode(errors="replace")
                except OSError:
                    break
        assert text in self.seen, self.seen
        self.seen = self.seen.partition(text)[2]

    def close(self) -> int:
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            os.close(self._ours)


def _controlling(terminal: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def test_a_conversation(home: Home, mock: Mocked) -> None:
    mock.app.play(
        Script(
            (
                Turn(thinking="Hm.", text="Hello \x1b[31mred."),
                Turn(text="tick tock tick", end="stall"),
                Turn(status=400, message="Not that."),
                Turn(text="Goodbye."),
            )
        )
    )
    terminal = Terminal(home, "chat")
    try:
        terminal.wait_for("main. Ctrl-C stops an answer")
        terminal.type("first\n")
        terminal.wait_for("\x1b[2mHm.")
        terminal.wait_for("Hello [31mred.")
        terminal.wait_for("tokens, $")
        terminal.wait_for("> ")
        terminal.type("second\n")
        terminal.wait_for("tick")
        terminal.type("\x03")
        terminal.wait_for("(stopped)")
        terminal.wait_for("> ")
        terminal.type("third\n")
        terminal.wait_for("octoplex: Not that.")
        terminal.wait_for("> ")
        terminal.type("fourth\n")
        terminal.wait_for("Goodbye.")
        terminal.wait_for("> ")
        terminal.type("\x04")
    finally:
        status = terminal.close()
    assert status == 0
    turns = json.loads(bytes(mock.app.book[-1].body))["messages"]
    users = [turn["content"] for turn in turns if turn["role"] == "user"]
    assert users == ["first", "second", "fourth"]


def test_no_color_is_honoured(home: Home, mock: Mocked) -> None:
    home.more["NO_COLOR"] = "1"
    mock.app.play(Script((Turn(thinking="Hm.", text="Yes."),)))
    terminal = Terminal(home, "chat", "Well?")
    terminal.wait_for("(thinking) Hm.")
    terminal.wait_for("Yes.")
    assert terminal.close() == 0
    assert "\x1b[2m" not in terminal.seen
