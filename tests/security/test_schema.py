"""Requests made of `/openapi.json` by schemathesis: whatever is sent, nothing is a 500."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.generation import GenerationMode

from octoplex.server.table import describe, routes
from tests.server import provider
from tests.server.gate import APP_KEY, Gate, file
from tests.upstream_server import Upstream

MORE = "[keys.app]\nsecret = 'env:APP_KEY'\n[models.main]\ntry = ['a/m']\n"
DOORS = schemathesis.openapi.from_dict(describe(routes()))
DOORS.config.generation.update(modes=list(GenerationMode))


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """A gateway and its provider, in a loop of their own thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def wait(work: object) -> object:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)  # type: ignore[arg-type]

    up = Upstream(provider.whole("openai-chat"))
    wait(up.__aenter__())
    folder: Path = tmp_path_factory.mktemp("gate")
    opened = Gate(folder, file(MORE, a=up), key=APP_KEY, clean=False)
    wait(opened.__aenter__())
    try:
        yield opened
        assert opened.process.poll() is None, "it has ended"
        assert "Traceback" not in opened.log.read_text()
    finally:
        wait(opened.__aexit__(None))
        wait(up.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@DOORS.parametrize()
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_no_request_is_a_500(case: schemathesis.Case, gate: Gate) -> None:
    response = case.call(
        base_url=f"http://127.0.0.1:{gate.port}",
        headers={"authorization": f"Bearer {APP_KEY}"},
        timeout=20,
    )
    assert response.status_code != 500, response.text
    assert response.status_code < 500 or response.json()["error"], response.text
