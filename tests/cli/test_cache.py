"""`octoplex cache` beside a running server and without one."""

import json
from typing import Any

from tests.shell import Home, Mocked, providers, run, serving

CACHED = '[models.main.cache]\nttl = "1 hour"\n[models.other]\ntry = ["mock/m"]\n'


def stats(home: Home) -> dict[str, Any]:
    return dict(json.loads(run(home, "cache", "stats", "--json", status=0).out))


def test_what_is_kept_is_shown_and_purged_while_a_server_runs_and_after(
    home: Home, mock: Mocked
) -> None:
    home.config(providers(mock) + CACHED)
    empty = stats(home)
    assert (empty["running"], empty["disk"]["entries"], empty["models"]) == (False, 0, [])
    assert not home.data.exists() or not (home.data / "cache.db").exists()
    with serving(home) as (_, url):
        for words in ("One", "Two", "One", "Three"):
            run(home, "chat", "--url", url, "--model", "main", words, status=0)
        now = stats(home)
        assert (now["running"], now["hits"], now["misses"]) == (True, 1, 3)
        assert now["disk"]["entries"] == now["memory"]["entries"] == 3
        assert [m["model"] for m in now["models"]] == ["main"]
        assert now["saved_nano"] > 0
        shown = run(home, "cache", "stats", status=0).out
        assert "1 of 4 (25%) since the start" in shown
        assert "3 replies" in shown
        assert run(home, "cache", "purge", "--model", "other", status=0).out == (
            "Forgotten: 0 replies.\n"
        )
        said = run(home, "cache", "purge", "--model", "maim").failed_with_a_sentence()
        assert 'Nothing is kept for "maim"' in said
        assert run(home, "cache", "purge", status=0).out == "Forgotten: 3 replies.\n"
        run(home, "chat", "--url", url, "--model", "main", "One", status=0)
        assert stats(home)["misses"] == 4
    after = stats(home)
    assert (after["running"], after["disk"]["entries"], after["hits"]) == (False, 1, 0)
    done = run(home, "cache", "purge", "--model", "main", "--json", status=0)
    assert json.loads(done.out) == {"purged": 1}
    noted = json.loads(run(home, "audit", "--json", status=0).out)[0]
    assert (noted["what"], noted["about"]) == ("cache.purge", "main")
    assert noted["who"].startswith("shell:")
    assert stats(home)["disk"] == {"entries": 0, "bytes": 0}
