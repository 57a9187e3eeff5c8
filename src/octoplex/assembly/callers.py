"""The keys that the configuration file names: `[keys.NAME]` with its secret read."""

from collections.abc import Mapping

from octoplex.reflex.keys import Entry, Hasher, KeySpec, from_config
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
        spec = KeySpec(name=name, tenant=table.tenant, models=table.models, limits=table.limits)
        try:
            entries.append(from_config(spec, value, hasher))
        except ValueError as error:
            raise BadConfig(f"{where}: {error}.") from None
    return entries
