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
from octoplex.secrets.keeper import Errand, Keeper, picked
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
    texts: Iterable[str], env: Mapping[str, str], trust: ssl.SSLContext | None = None
) -> dict[str, str]:
    """The secrets behind those of the texts that are references.

    Raises:
        BadConfig: one cannot be had; it names the reference and says why.
    """
    wanted = sorted({text for text in texts if is_reference(text)})
    if not wanted:
        return {}
    client = Client(trust)
    errand = Errand(client, env, Purse(client))
    try:
        values = await asyncio.gather(*[_one(text, errand) for text in wanted])
        return dict(zip(wanted, values, strict=True))
    finally:
        client.close()


async def _one(text: str, errand: Errand) -> str:
    reference = read(text)
    try:
        return picked(reference, await KEEPERS[reference.scheme](reference, errand))
    except GatewayError as error:
        raise BadConfig(f"{text}: {str(error).rstrip('.')}.") from None
