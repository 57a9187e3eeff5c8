"""An OCI key from Oracle's own variables and file, and from the gateway's."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from octoplex.catalog.provider import catalogue
from octoplex.transport.oci_sign import oci_key
from octoplex.upstreams.config import Provider
from octoplex.upstreams.configured import from_file, from_row
from octoplex.upstreams.source import Source
from octoplex.wire.error import BadConfig
from tests.transport.test_oci_sign import FINGERPRINT, PEM, PROFILE, TENANCY, USER

ROW = catalogue()["oracle-oci"]
NAMED = {
    "OCI_CLI_USER": USER,
    "OCI_CLI_FINGERPRINT": FINGERPRINT,
    "OCI_CLI_TENANCY": TENANCY,
    "OCI_CLI_KEY_CONTENT": PEM,
    "OCI_CLI_REGION": "eu-frankfurt-1",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "key.pem").write_text(PEM)
    own = f"{PROFILE}key_file={tmp_path}/key.pem\nregion=us-ashburn-1\n[EU]\nregion=eu-paris-1\n"
    (tmp_path / "config").write_text(own)
    return tmp_path


def row(env: Mapping[str, str]) -> Source:
    return from_row(ROW, env)


def signs_with(source: Source) -> tuple[str, str]:
    """Whose key it is, and where it is asked."""
    (secret,) = source.keys
    key = oci_key(secret.value)
    assert key.pem == PEM.strip()
    assert (key.tenancy, key.fingerprint) == (TENANCY, FINGERPRINT)
    return key.user, source.base_url.split(".")[2]


def test_the_variables_alone() -> None:
    source = row(NAMED)
    assert (source.missing, source.found) == ("", "OCI_CLI_KEY_CONTENT")
    assert signs_with(source) == (USER, "eu-frankfurt-1")
    assert source.account == {"compartment": TENANCY}
    assert row({**NAMED, "OCI_COMPARTMENT_ID": "c1"}).account == {"compartment": "c1"}
    assert row({**NAMED, "OCI_REGION": "uk-london-1"}).region == "uk-london-1"


def test_a_file_of_the_private_key(home: Path) -> None:
    env = {**NAMED, "OCI_CLI_KEY_FILE": f"{home}/key.pem"}
    del env["OCI_CLI_KEY_CONTENT"]
    assert signs_with(row(env)) == (USER, "eu-frankfurt-1")


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, (USER, "us-ashburn-1")),
        ({"OCI_CLI_PROFILE": "EU"}, (USER, "eu-paris-1")),
        ({"OCI_CLI_USER": "me", "OCI_CLI_REGION": ""}, ("me", "us-ashburn-1")),
        ({"OCI_CLI_KEY_CONTENT": PEM, "OCI_REGION": "uk-london-1"}, (USER, "uk-london-1")),
    ],
)
def test_oracles_file_and_what_is_set_beside_it(
    home: Path, more: dict[str, str], found: tuple[str, str]
) -> None:
    source = row({"OCI_CONFIG_FILE": f"{home}/config", **more})
    assert (source.missing, source.found) == ("", "OCI_CONFIG_FILE")
    assert signs_with(source) == found
    assert source.account == {"compartment": TENANCY}


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, "set OCI_REGION or OCI_CLI_REGION"),
        ({"OCI_REGION": "x"}, "set OCI_CONFIG_FILE or OCI_CLI_KEY_FILE or OCI_CLI_KEY_CONTENT"),
        ({"OCI_CONFIG_FILE": "nowhere"}, "OCI_CONFIG_FILE names a file that cannot be read"),
        ({"OCI_CONFIG_FILE": "config", "OCI_CLI_PROFILE": "ASIA"}, "no profile [ASIA]"),
        ({"OCI_CONFIG_FILE": "key.pem"}, "lack tenancy and user and fingerprint"),
        ({**NAMED, "OCI_CLI_USER": ""}, "lack user"),
        ({**NAMED, "OCI_CLI_KEY_CONTENT": "canary"}, "no such file"),
        ({**NAMED, "OCI_CLI_KEY_CONTENT": PEM.replace("MIICX", "canary")}, "not an RSA key"),
        (
            {**NAMED, "OCI_CLI_KEY_CONTENT": "", "OCI_CLI_KEY_FILE": "nowhere"},
            "key_file names a file that cannot be read: No such file",
        ),
    ],
)
def test_what_is_wrong_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], said: str
) -> None:
    monkeypatch.chdir(home)
    source = row(env)
    assert said in source.missing
    assert "canary" not in source.missing
    assert source.keys == ()


def written(text: str, env: Mapping[str, str] | None = None, **members: object) -> Source:
    """A provider of the file whose key's file says `text`."""
    table = Provider(api_key="file:oci", base_url="https://oci.eu.example", **members)  # type: ignore[arg-type]
    return from_file("oracle-oci", table, ROW, env or {}, lambda *_: text)


def test_a_key_of_the_gateways_own_file(home: Path) -> None:
    for text in (PROFILE + PEM, (home / "config").read_text()):
        source = written(text)
        assert (source.missing, source.auth) == ("", "oci")
        assert signs_with(source)[0] == USER
        assert source.account == {"compartment": TENANCY}
    assert written(PROFILE + PEM, account={"compartment": "c2"}).account == {"compartment": "c2"}
    given = written(PROFILE + PEM, {"OCI_COMPARTMENT_ID": "c1"})
    assert given.account == {"compartment": "c1"}


@pytest.mark.parametrize("text", ["canary", PROFILE, PROFILE.replace("user", "usr") + PEM])
def test_a_key_that_is_none_stops_the_start(text: str) -> None:
    with pytest.raises(BadConfig, match=r"\[providers.oracle-oci\] api_key: The OCI ") as caught:
        written(text)
    assert "canary" not in str(caught.value)
