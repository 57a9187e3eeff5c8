"""Oracle Cloud's signature, against the test values that Oracle publishes.

Reference: https://docs.oracle.com/en-us/iaas/Content/API/Concepts/signingrequests.htm (its
test key signs nothing but examples).
"""

import builtins
from typing import Any

import pytest

from octoplex.transport.oci_sign import OciKey, OciSigner, entries, oci_key
from octoplex.wire.error import BadConfig

PEM = """-----BEGIN RSA PRIVATE KEY-----
MIICXgIBAAKBgQDCFENGw33yGihy92pDjZQhl0C36rPJj+CvfSC8+q28hxA161QF
NUd13wuCTUcq0Qd2qsBe/2hFyc2DCJJg0h1L78+6Z4UMR7EOcpfdUE9Hf3m/hs+F
UR45uBJeDK1HSFHD8bHKD6kv8FPGfJTotc+2xjJwoYi+1hqp1fIekaxsyQIDAQAB
AoGBAJR8ZkCUvx5kzv+utdl7T5MnordT1TvoXXJGXK7ZZ+UuvMNUCdN2QPc4sBiA
QWvLw1cSKt5DsKZ8UETpYPy8pPYnnDEz2dDYiaew9+xEpubyeW2oH4Zx71wqBtOK
kqwrXa/pzdpiucRRjk6vE6YY7EBBs/g7uanVpGibOVAEsqH1AkEA7DkjVH28WDUg
f1nqvfn2Kj6CT7nIcE3jGJsZZ7zlZmBmHFDONMLUrXR/Zm3pR5m0tCmBqa5RK95u
412jt1dPIwJBANJT3v8pnkth48bQo/fKel6uEYyboRtA5/uHuHkZ6FQF7OUkGogc
mSJluOdc5t6hI1VsLn0QZEjQZMEOWr+wKSMCQQCC4kXJEsHAve77oP6HtG/IiEn7
kpyUXRNvFsDE0czpJJBvL/aRFUJxuRK91jhjC68sA7NsKMGg5OXb5I5Jj36xAkEA
gIT7aFOYBFwGgQAQkWNKLvySgKbAZRTeLBacpHMuQdl1DfdntvAyqpAZ0lY0RKmW
G6aFKaqQfOXKCyWoUiVknQJAXrlgySFci/2ueKlIE1QqIiLSZ8V8OlpFLRnb1pzI
7U1yQXnTAEFYM560yJlzUpOb1V4cScGd365tiSMvxLOvTA==
-----END RSA PRIVATE KEY-----
"""
TENANCY = "ocid1.tenancy.oc1..aaaaaaaaba3pv6wkcr4jqae5f15p2b2m2yt2j6rx32uzr4h25vqstifsfdsq"
USER = "ocid1.user.oc1..aaaaaaaat5nvwcna5j6aqzjcaty5eqbb6qt2jvpkanghtgdaqedqw3rynjq"
FINGERPRINT = "20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34"
PROFILE = f"[DEFAULT]\nuser={USER}\nfingerprint={FINGERPRINT}\ntenancy={TENANCY}\n"
KEY = PROFILE + PEM
BODY = (
    b'{\n    "compartmentId": "ocid1.compartment.oc1..'
    b'aaaaaaaam3we6vgnherjq5q2idnccdflvjsnog7mlr6rtdb25gilchfeyjxa",\n'
    b'    "instanceId": "ocid1.instance.oc1.phx.'
    b'abuw4ljrlsfiqw6vzzxb43vyypt4pkodawglp3wqxjqofakrwvou52gb6s5a",\n'
    b'    "volumeId": "ocid1.volume.oc1.phx.'
    b'abyhqljrgvttnlx73nmrwfaux7kcvzfs3s66izvxf2h4lgvyndsdsnoiwr5q"\n}'
)
HOST = "iaas.us-phoenix-1.oraclecloud.com"
DATE = "Thu, 05 Jan 2014 21:31:40 GMT"


def test_the_published_post() -> None:
    headers = dict(OciSigner(oci_key(KEY)).sign(HOST, "/20160918/volumeAttachments", BODY, DATE))
    assert headers == {
        "date": DATE,
        "x-content-sha256": "V9Z20UJTvkvpJ50flBzKE32+6m2zJjweHpDMX/U4Uy0=",
        "authorization": (
            'Signature version="1",'
            'headers="date (request-target) host content-length content-type x-content-sha256",'
            f'keyId="{TENANCY}/{USER}/{FINGERPRINT}",algorithm="rsa-sha256",'
            'signature="Mje8vIDPlwIHmD/cTDwRxE7HaAvBg16JnVcsuqaNRim23fFPgQfLoOOxae6WqKb1uPjYEl0q'
            "IdazWaBy/Ml8DRhqlocMwoSXv0fbukP8J5N80LCmzT/FFBvIvTB91XuXI3hYfP9Zt1l7S6ieVadHUfqBedWH"
            '0itrtPJBgKmrWso="'
        ),
    }


def test_a_key_is_a_profile_and_a_private_key_in_one_text() -> None:
    key = oci_key(f"{PEM}\n{PROFILE}pass_phrase = canary-phrase\n")
    assert (key.tenancy, key.user, key.fingerprint) == (TENANCY, USER, FINGERPRINT)
    assert key.pass_phrase == "canary-phrase"
    assert key.pem == PEM.strip()
    assert "canary" not in repr(key)
    assert "MIIC" not in repr(key)


def test_a_profile_is_chosen_and_falls_back_on_the_default() -> None:
    text = f"{PROFILE}region=us-ashburn-1\n[EU]\nregion=eu-frankfurt-1\n"
    assert entries(text)["region"] == "us-ashburn-1"
    eu = entries(text, "EU")
    assert (eu["region"], eu["user"]) == ("eu-frankfurt-1", USER)
    with pytest.raises(BadConfig, match=r"\[ASIA\]"):
        entries(text, "ASIA")


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("", "tenancy and user and fingerprint"),
        (PEM, "tenancy and user and fingerprint"),
        (PROFILE, "a private key"),
        (PROFILE.replace("user=", "usr=") + PEM, "user"),
        ("canary", "no such file"),
        ("\x00=%(x)s\n[", "no such file"),
    ],
)
def test_what_is_missing_is_named(text: str, lacks: str) -> None:
    with pytest.raises(BadConfig, match=lacks) as caught:
        oci_key(text)
    assert "canary" not in str(caught.value)
    assert TENANCY not in str(caught.value)


def test_a_key_that_cannot_sign_is_refused_and_not_shown() -> None:
    bad = PEM.replace("MIICXgIBAAKBgQ", "canary-AAKBgQ")
    with pytest.raises(BadConfig, match="RSA") as caught:
        OciSigner(oci_key(PROFILE + bad)).sign(HOST, "/", b"", DATE)
    assert "canary" not in str(caught.value)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(BadConfig, match=r"pip install 'octoplex\[oci\]'"):
        OciSigner(OciKey("t", "u", "f", PEM)).sign(HOST, "/", b"", DATE)
