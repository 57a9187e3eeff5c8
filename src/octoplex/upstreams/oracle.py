"""An OCI key from where Oracle's own tools keep it: its variables, or the file they name.

    OCI_CONFIG_FILE -> the profile OCI_CLI_PROFILE in it -> the OCI_CLI_* that are not set
    OCI_CLI_USER, _FINGERPRINT, _TENANCY, _KEY_FILE or _KEY_CONTENT, _PASSPHRASE, _REGION

A key then is one text, as `transport/oci_sign.py` reads it. The tenancy is a compartment too,
its root, which is asked where no other is named.

Reference: https://docs.oracle.com/en-us/iaas/Content/API/SDKDocs/clienvironmentvariables.htm
"""

import os.path
from collections.abc import Mapping
from pathlib import Path

from octoplex.transport.oci_sign import OciSigner, entries, oci_key
from octoplex.wire.error import BadConfig

_VARIABLES = {
    "user": "OCI_CLI_USER",
    "fingerprint": "OCI_CLI_FINGERPRINT",
    "tenancy": "OCI_CLI_TENANCY",
    "pass_phrase": "OCI_CLI_PASSPHRASE",
    "key_file": "OCI_CLI_KEY_FILE",
    "key_content": "OCI_CLI_KEY_CONTENT",
    "region": "OCI_CLI_REGION",
}


def with_config(env: Mapping[str, str]) -> Mapping[str, str]:
    """The variables, and for those that are not set the entries of the file they name.

    Raises:
        BadConfig: the file cannot be read, or lacks the profile.
    """
    named = env.get("OCI_CONFIG_FILE")
    if not named:
        return env
    found = entries(_read(named, "OCI_CONFIG_FILE"), env.get("OCI_CLI_PROFILE") or "DEFAULT")
    said = {_VARIABLES[name]: value for name, value in found.items() if name in _VARIABLES}
    if env.get("OCI_CLI_KEY_CONTENT"):
        said.pop("OCI_CLI_KEY_FILE", None)
    return {**said, **{name: value for name, value in env.items() if value}}


def key_in(env: Mapping[str, str]) -> str:
    """The key that the variables say.

    Raises:
        BadConfig: something of it is missing, or the private key's file cannot be read.
    """
    names = ("user", "fingerprint", "tenancy", "pass_phrase", "key_file")
    lines = [f"{n} = {env[_VARIABLES[n]]}" for n in names if env.get(_VARIABLES[n])]
    return completed("\n".join(["[DEFAULT]", *lines, env.get("OCI_CLI_KEY_CONTENT", "")]))


def completed(text: str) -> str:
    """A key with the private key in it, read from its `key_file` where it is not.

    Raises:
        BadConfig: something of it is missing, cannot be read, or signs nothing.
    """
    path = entries(text).get("key_file")
    if path and "PRIVATE KEY-----" not in text:
        text = f"{text}\n{_read(path, 'key_file')}"
    OciSigner(oci_key(text)).load()
    return text


def _read(path: str, named: str) -> str:
    try:
        return Path(os.path.expanduser(path)).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", "") or "it is no text"
        raise BadConfig(f"{named} names a file that cannot be read: {why}") from None
