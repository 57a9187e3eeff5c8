"""References to secrets that lie elsewhere, as the file writes them.

    keyring:SERVICE/USER                              the keyring of this machine's user
    awssecrets://NAME#FIELD?region=eu-central-1       AWS Secrets Manager
    awsssm://PATH                                     AWS Systems Manager, Parameter Store
    gcpsecrets://PROJECT/NAME?version=3               Google Cloud Secret Manager
    azurekeyvault://VAULT/NAME?version=...            Azure Key Vault
    vault://MOUNT/PATH#FIELD                          HashiCorp Vault or OpenBao, KV 1 or 2

`#FIELD` takes one member of a secret that is a JSON object; Vault's always are. Options stand
before or behind it. The schemes are those of `vals`, which many charts use already.
"""

import re
from urllib.parse import parse_qs, unquote

from msgspec import Struct

from octoplex.wire.error import BadConfig

OPTIONS: dict[str, frozenset[str]] = {
    "keyring": frozenset(),
    "awssecrets": frozenset({"region", "version_id", "version_stage"}),
    "awsssm": frozenset({"region"}),
    "gcpsecrets": frozenset({"version"}),
    "azurekeyvault": frozenset({"version"}),
    "vault": frozenset({"version"}),
}
FORMS = {
    "keyring": "keyring:SERVICE/USER",
    "awssecrets": "awssecrets://NAME",
    "awsssm": "awsssm://PATH",
    "gcpsecrets": "gcpsecrets://PROJECT/NAME",
    "azurekeyvault": "azurekeyvault://VAULT/NAME",
    "vault": "vault://MOUNT/PATH#FIELD",
}
SCHEMES = tuple(OPTIONS)
EXPERIMENTAL = frozenset({"gcpsecrets", "azurekeyvault", "vault"})
"""Tried against scripted servers only."""
MARKS = tuple("keyring:" if scheme == "keyring" else f"{scheme}://" for scheme in SCHEMES)

_PARTS = re.compile(r"([^?#]*)(?:\?([^#]*))?(?:#([^?]*)(?:\?(.*))?)?")


class Reference(Struct, frozen=True):
    """One reference, read. `path` has no slash at its ends but the first of `awsssm`."""

    scheme: str
    path: str
    field: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str) -> str:
        """What an option says; "" where it is not there."""
        return dict(self.options).get(name, "")


def is_reference(text: str) -> bool:
    """Whether this names a secret that must be fetched."""
    return text.startswith(MARKS)


def read(text: str) -> Reference:
    """Read a reference.

    Raises:
        BadConfig: it names no secret, or an option that its keeper does not know.
    """
    scheme, _, rest = text.partition(":")
    match = _PARTS.fullmatch(rest.removeprefix("//"))
    place, early, field, late = match.groups("") if match else ("", "", "", "")
    options = tuple((name, values[-1]) for name, values in parse_qs(early or late).items())
    unknown = [name for name, _ in options if name not in OPTIONS[scheme]]
    if unknown:
        known = ", ".join(sorted(OPTIONS[scheme])) or "none"
        raise BadConfig(f'"{text}": there is no option "{unknown[0]}"; known: {known}')
    path = unquote(place).rstrip("/")
    if scheme != "awsssm":
        path = path.lstrip("/")
    least = 1 if scheme.startswith("aws") else 2
    if len([part for part in path.split("/") if part]) < least:
        raise BadConfig(f'"{text}" names no secret; write {FORMS[scheme]}')
    return Reference(scheme, path, unquote(field), options)
