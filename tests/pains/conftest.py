"""The SDKs and vendors of `tests/sdk` around a gateway with a few more providers and routes.

`cached` takes cache marks although it speaks Chat, `tagged` tells thinking in tags; `alias` and
`crossing-TARGET` lead to a target that fails and one that answers, of one dialect or of two.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.sdk.conftest import all_vendors, behind, call, clients, folder, sdks, tee
from tests.sdk.house import Vendor, configured, running

__all__ = ["all_vendors", "behind", "call", "clients", "folder", "sdks", "tee"]

CROSSED = ("claude", "gem", "resp", "rock", "coh", "oll")
QUICK = "retry = { attempts = 1 }"


def more(vendors: Mapping[str, Vendor]) -> str:
    """Further tables of the file."""
    oai = f'base_url = "http://127.0.0.1:{vendors["oai"].port}/v1"\napi_key = "env:VENDOR_KEY"\n'
    return (
        f'[providers.cached]\ndialect = "openai-chat"\nquirks = ["cache_control"]\n{oai}'
        f'[providers.tagged]\ndialect = "openai-chat"\nquirks = ["think_tags"]\n{oai}'
        f'[providers.down]\ndialect = "openai-chat"\nbase_url = "http://127.0.0.1:9"\n'
        f'[models.alias]\ntry = ["down/m", "oai/served"]\n{QUICK}\n'
    ) + "".join(
        f'[models.crossing-{target}]\ntry = ["down/m", "{target}/served"]\n{QUICK}\n'
        "drop_unsupported = true\n"
        for target in CROSSED
    )


@pytest.fixture(scope="session")
def gateway(all_vendors: Mapping[str, Vendor], folder: Path) -> Iterator[str]:
    with running(folder, configured(folder, all_vendors, more(all_vendors))) as url:
        yield url
