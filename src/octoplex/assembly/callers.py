"""The keys that the configuration file names: `[keys.NAME]` with its secret read."""

from collections.abc import Mapping

from octoplex.reflex.keys import Entry, Hasher, KeySpec, from_config, weak
from octoplex.settings import Settings, secret
from octoplex.wire.error import BadConfig


def file_keys(settings: Settings, env: Mapping[str, str], hasher: Hasher) -> list[Entry]:
    """Every key of the file.

    Raises:
        BadConfig: a secret is not there, or a limit or model pattern cannot be read.
    """
    entries = []
    for name, table in settings.keys.items():
        where = f"[keys.{name}]"
        value = secret(table.secret, env, f"{where} secret")
        spec = KeySpec(
            name=name,
            tenant=table.tenant,
            models=table.models,
            limits=table.limits,
            region=table.region,
        )
        try:
            entries.append(from_config(spec, value, hasher))
        except ValueError as error:
            raise BadConfig(f"{where}: {error}.") from None
    return entries


def check_exposed(settings: Settings, env: Mapping[str, str], host: str, *, made: bool) -> None:
    """A `host` that others can reach needs a key, and none that can be guessed.

    `made` says whether a key made at run time is in force; those are never weak.

    Raises:
        BadConfig: there is no key, or a secret of the file is weak.
    """
    if not settings.keys and not made:
        raise BadConfig(
            f"[server] listen: {host} can be reached by others, and no key is configured. "
            "Add a [keys.NAME] table, or listen on 127.0.0.1."
        )
    for name, table in settings.keys.items():
        why = weak(secret(table.secret, env, f"[keys.{name}] secret"))
        if why:
            raise BadConfig(f"[keys.{name}] secret: {why}; use a random one: octoplex keys new.")
