"""Ask the keepers of all secrets that a file names, side by side.

    env = {**env, **await fetched(texts, env, trust)}

A value lies in the mapping under its own reference, which is no name that an environment can
have, so that whoever compiles the file finds it where it finds the other secrets. One reference
is fetched once; credentials and tokens of the keepers are shared by all.
"""

import asyncio
import ssl
from collections.abc import Iterable, Mapping

from octoplex.secrets import aws, others
from octoplex.secrets.keeper import WAIT_S, Asking, Errand, Keeper, picked
from octoplex.secrets.reference import is_reference, read
from octoplex.transport.http import Client
from octoplex.transport.tokens import Purse
from octoplex.wire.error import BadConfig, GatewayError

KEEPERS: Mapping[str, Keeper] = {
    "keyring": others.keyring,
    "awssecrets": aws.secrets_manager,
    "awsssm": aws.parameter_store,
    "gcpsecrets": others.google,
    "azurekeyvault": others.azure,
    "vault": others.vault,
}


async def fetched(
    texts: Iterable[str],
    env: Mapping[str, str],
    trust: ssl.SSLContext | None = None,
    wait_s: float = WAIT_S,
) -> dict[str, str]:
    """The secrets behind those of the texts that are references, each within `wait_s`.

    Raises:
        BadConfig: one cannot be had; it names the reference and says why.
    """
    wanted = sorted({text for text in texts if is_reference(text)})
    if not wanted:
        return {}
    client = Client(trust)
    asking = Asking(client)
    errand = Errand(asking, env, Purse(asking))
    try:
        values = await asyncio.gather(*[_one(text, errand, wait_s) for text in wanted])
        return dict(zip(wanted, values, strict=True))
    finally:
        client.close()


async def _one(text: str, errand: Errand, wait_s: float) -> str:
    reference = read(text)
    try:
        async with asyncio.timeout(wait_s):
            return picked(reference, await KEEPERS[reference.scheme](reference, errand))
    except TimeoutError:
        why = f"its keeper did not answer within {wait_s:g} s"
    except GatewayError as error:
        why = errand.client.veiled(str(error)).rstrip(".")
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        why = "its keeper answered with what is no secret"  # and no reply may end the start
    raise BadConfig(f"{text}: {why}.")
