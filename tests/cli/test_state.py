"""Keys, spend and logs: written by a server or offline, read beside either."""

import getpass
import json
import re
import signal
import urllib.error
import urllib.request

from octoplex.server.mock import Script, Turn
from tests.shell import Home, Mocked, run, serving, started, until

PRICED = Script((Turn(text="Hi there.", input_tokens=100, output_tokens=50),))


def ask(url: str, secret: str, model: str = "main") -> int:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "x"}]}).encode()
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", body, {"authorization": f"Bearer {secret}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            status: int = reply.status
            return status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_keys_while_a_server_runs(home: Home) -> None:
    with serving(home) as (_, url):
        assert ask(url, "") == 200
        made = run(home, "keys", "new", "app", "--models", "main", "--limits", "$5/month", status=0)
        secret = made.out.strip()
        assert secret.startswith("oct-")
        assert (ask(url, ""), ask(url, secret), ask(url, secret, "mock/x")) == (401, 200, 403)
        assert "app" in run(home, "keys", "new", "app").failed_with_a_sentence()
        listed = run(home, "keys", "list", status=0)
        assert secret not in listed.out
        assert "$5/month" in listed.out
        assert "app" in run(home, "keys", "revoke", "app", status=0).out
        assert "no key" in run(home, "keys", "revoke", "app").failed_with_a_sentence()
        again = json.loads(run(home, "keys", "new", "app", "--json", status=0).out)
        assert (ask(url, secret), ask(url, again["secret"])) == (401, 200)


def test_keys_without_a_server(home: Home) -> None:
    secret = run(home, "keys", "new", "app", status=0).out.strip()
    assert "fortnight" in run(home, "keys", "new", "b", "--limits", "1 req/fortnight"
                              ).failed_with_a_sentence()  # fmt: skip
    rows = json.loads(run(home, "keys", "list", "--json", status=0).out)
    assert [(row["name"], row["revoked_at"]) for row in rows] == [("app", None)]
    with serving(home) as (_, url):
        assert (ask(url, ""), ask(url, secret)) == (401, 200)
    run(home, "keys", "revoke", "app", status=0)
    rows = json.loads(run(home, "keys", "list", "--json", status=0).out)
    assert rows[0]["revoked_at"]


def test_changes_without_a_server_are_noted_as_well(home: Home) -> None:
    run(home, "keys", "new", "app", "--limits", "$5/day", status=0)
    run(home, "keys", "rotate", "app", status=0)
    run(home, "keys", "revoke", "app", status=0)
    run(home, "keys", "revoke", "nobody").failed_with_a_sentence()
    lines = json.loads(run(home, "audit", "--json", status=0).out)
    assert {line["who"] for line in lines} == {f"shell:{getpass.getuser()}"}
    assert [(line["what"], line["about"]) for line in lines] == [
        ("keys.revoke", "nobody"), ("keys.revoke", "nobody"), ("keys.revoke", "app"),
        ("keys.rotate", "app"), ("keys.new", "app"),
    ]  # fmt: skip
    assert lines[0]["after"].startswith("refused: There is no key")
    assert lines[4]["after"]["limits"] == "$5/day"
    assert run(home, "audit", status=0).out.count("refused: There is no key") == 1
    assert "5 lines hold" in run(home, "audit", "verify", status=0).out


def test_the_shell_takes_no_name_or_time_that_http_does_not(home: Home) -> None:
    for name in ("", "a\nb", "a/b", "x" * 300, "key_0123456789ab"):
        assert "no name" in run(home, "keys", "new", name).failed_with_a_sentence()
    said = run(home, "keys", "new", "app", "--expires", "9999999 days").failed_with_a_sentence()
    assert "9999" in said
    run(home, "keys", "list", status=0)


def test_a_key_of_the_file_is_changed_there(home: Home) -> None:
    home.more["APP_KEY"] = "a-long-enough-secret-1"
    text = (home.path / "octoplex.toml").read_text()
    home.config(text + '[keys.app]\nsecret = "env:APP_KEY"\n')
    assert "octoplex.toml" in run(home, "keys", "new", "app").failed_with_a_sentence()
    assert "[keys.app]" in run(home, "keys", "revoke", "app").failed_with_a_sentence()
    row = json.loads(run(home, "keys", "list", "--json", status=0).out)[0]
    assert row["key"] == "env:APP_KEY"


def test_spend_and_logs_after_real_requests(home: Home, mock: Mocked) -> None:
    assert "octoplex chat" in run(home, "spend", status=0).out
    assert "octoplex chat" in run(home, "logs", status=0).out
    assert json.loads(run(home, "spend", "--json", status=0).out) == {"total_nano": 0, "rows": []}
    mock.app.play(PRICED)
    with serving(home) as (_, url):
        secret = run(home, "keys", "new", "app", status=0).out.strip()
        assert [ask(url, secret) for _ in range(3)] == [200] * 3
        until(lambda: spent(home)["total_nano"] == 3 * 200_000, "the settlement")
        row = spent(home)["rows"][0]
        day = row.pop("day")
        assert row == {
            "key": "app",
            "model": "m",
            "provider": "mock",
            "requests": 3,
            "input_tokens": 300,
            "output_tokens": 150,
            "nano": 600_000,
            "estimated": 0,
        }
        assert spent(home, "--since", day, "--until", "today", "--key", "app")["rows"]
        assert not spent(home, "--until", "2020-01-01")["rows"]
        assert not spent(home, "--key", "other")["rows"]
        assert "$0.0006" in run(home, "spend", "--since", "7d", status=0).out
        until(lambda: len(records(home)) == 3, "the records")
        one = records(home)[-1]
        assert (one["key"], one["target"], one["status"]) == ("app", "mock/m", 200)
        whole = run(home, "logs", one["id"], status=0).out
        assert "attempt 1 mock/m" in whole
        assert json.loads(run(home, "logs", one["id"], "--json", status=0).out)["attempts"]
        assert len(records(home, "-n", "2")) == 2
    assert "xyz" in run(home, "logs", "xyz").failed_with_a_sentence()
    assert "2020-13" in run(home, "spend", "--since", "2020-13").failed_with_a_sentence()


def spent(home: Home, *words: str) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads(
        run(home, "spend", "--json", *words, status=0).out
    )
    return found


def records(home: Home, *words: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(run(home, "logs", "--json", *words, status=0).out)
    return found


def test_following_the_log(home: Home) -> None:
    with serving(home) as (_, url), started(home, "logs", "-f") as follow:
        assert ask(url, "") == 200
        follow.wait_for(r"main  mock/m  200")
        assert ask(url, "") == 200
        until(lambda: len(re.findall("mock/m", follow.out)) == 2, "the second line")
        assert follow.end(signal.SIGINT) == 130
        assert "Traceback" not in follow.out


def test_other_peoples_text_cannot_command_a_terminal(home: Home) -> None:
    with serving(home) as (_, url):
        assert ask(url, "", "mock/\x1b[2Jx") == 200
        until(lambda: records(home), "the record")
        one = records(home)[0]["id"]
        for words in (["logs"], ["logs", one], ["spend"]):
            assert "\x1b" not in run(home, *words, status=0).out


def test_a_reader_that_leaves_is_no_failure(home: Home) -> None:
    import subprocess

    from tests.shell import command

    home.more["OPENAI_API_KEY"] = "x"
    words = " ".join(command("models"))
    done = subprocess.run(
        ["/bin/sh", "-c", f"{words} | head -1"],
        env=home.env,
        cwd=home.path,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""


def test_keys_of_a_tenant_and_a_new_secret(home: Home, mock: Mocked) -> None:
    text = (home.path / "octoplex.toml").read_text()
    home.config(text + "[tenants.acme]\nlimits = '$500/month'\n[tenants.acme.web]\n")
    mock.app.play(PRICED)
    assert "acme.web" in run(home, "keys", "new", "a", "--tenant", "acme.wbe"
                             ).failed_with_a_sentence()  # fmt: skip
    made = run(home, "keys", "new", "app", "--tenant", "acme.web", "--expires", "90 days", status=0)
    first = made.out.strip()
    assert "fortnight" in run(home, "keys", "new", "b", "--expires", "a fortnight"
                              ).failed_with_a_sentence()  # fmt: skip
    assert "expired before" in run(home, "keys", "new", "b", "--expires", "2020-01-01"
                                   ).failed_with_a_sentence()  # fmt: skip
    second = run(home, "keys", "rotate", "app", "--overlap", "0", status=0).out.strip()
    with serving(home) as (_, url):
        assert (ask(url, first), ask(url, second)) == (401, 200)
        third = run(home, "keys", "rotate", "app", status=0).out.strip()
        assert (ask(url, second), ask(url, third)) == (200, 200)
        shown = run(home, "keys", "show", "app", status=0).out
        assert third not in shown
        for said in ("acme.web", "$500/month", "in force; its old secret until"):
            assert said in shown
        row = json.loads(run(home, "keys", "show", "app", "--json", status=0).out)
        assert [level["tenant"] for level in row["levels"]] == ["acme.web", "acme"]
        until(
            lambda: spent(home, "--tenant", "acme")["total_nano"] == 3 * 200_000, "the settlement"
        )
        assert {row["tenant"] for row in spent(home)["rows"]} == {"acme.web"}
        assert not spent(home, "--tenant", "acm")["rows"]
        assert "acme.web" in run(home, "spend", status=0).out
    assert "no key" in run(home, "keys", "rotate", "nobody").failed_with_a_sentence()
    assert "no key" in run(home, "keys", "show", "nobody").failed_with_a_sentence()
    assert "duration" in run(home, "keys", "rotate", "app", "--overlap", "x"
                             ).failed_with_a_sentence()  # fmt: skip
    run(home, "keys", "rotate", "app", "--overlap", "91 days").failed_with_a_sentence()


def test_a_folder_whose_pepper_is_gone_is_not_served(home: Home, mock: Mocked) -> None:
    """Every caller would be refused, and nobody told why."""
    run(home, "keys", "new", "app", status=0)
    (home.data / "pepper").unlink()
    for words in (("serve",), ("keys", "new", "other"), ("keys", "rotate", "app")):
        said = run(home, *words).failed_with_a_sentence()
        assert "pepper is not there, and without it none of the 1 keys" in said
    run(home, "keys", "revoke", "app", status=0)
    run(home, "keys", "new", "other", status=0)
    with serving(home) as (_, url):
        assert ask(url, "oct-of-nobody") == 401


def test_a_key_is_made_for_a_person_of_a_tenant(bare: Home) -> None:
    bare.config("[tenants.acme]\nroles = { 'ana@acme.example' = 'admin' }\n[tenants.acme.web]\n")
    for_ana = ("--tenant", "acme.web", "--user", "ana@acme.example")
    run(bare, "keys", "new", "ana", *for_ana, status=0)
    assert "ana@acme.example" in run(bare, "keys", "list", status=0).out
    assert "user     ana@acme.example" in run(bare, "keys", "show", "ana", status=0).out
    wrong = run(bare, "keys", "new", "x", "--tenant", "acme", "--user", "anna@acme.example")
    assert 'did you mean "ana@acme.example"' in wrong.failed_with_a_sentence()
    nowhere = run(bare, "keys", "new", "x", "--user", "ana@acme.example").failed_with_a_sentence()
    assert "needs a tenant" in nowhere
