"""Secrets of AWS, against moto's server: its own checks of requests, no network."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from octoplex.secrets import fetched
from octoplex.wire.error import BadConfig
from tests.shell import until
from tests.upstream_server import Upstream, closed_port, says

KEYS = {"AWS_ACCESS_KEY_ID": "canary-id", "AWS_SECRET_ACCESS_KEY": "canary-secret"}
REGION = "eu-central-1"


def _answers(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(url, timeout=1).status)
    except OSError:
        return False


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    port = closed_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    with subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            until(lambda: _answers(f"{url}/moto-api/data.json"), "moto's server", 60)
            secrets = boto3.client(
                "secretsmanager",
                endpoint_url=url,
                region_name=REGION,
                aws_access_key_id="canary",
                aws_secret_access_key="canary",
            )
            secrets.create_secret(Name="prod/llm", SecretString=json.dumps({"key": "canary-1"}))
            secrets.create_secret(Name="plain", SecretBinary=b"canary-2")
            parameters = boto3.client(
                "ssm",
                endpoint_url=url,
                region_name=REGION,
                aws_access_key_id="canary",
                aws_secret_access_key="canary",
            )
            parameters.put_parameter(Name="/prod/key", Value="canary-3", Type="SecureString")
            yield url
        finally:
            process.terminate()
            process.wait(10)


async def test_secrets_and_parameters_are_fetched(moto: str) -> None:
    env = {**KEYS, "AWS_REGION": REGION, "AWS_ENDPOINT_URL": moto}
    names = ["awssecrets://prod/llm#key", "awssecrets://plain", "awsssm:///prod/key"]
    assert await fetched([*names, "env:OTHER"], env) == {
        names[0]: "canary-1",
        names[1]: "canary-2",
        names[2]: "canary-3",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("awssecrets://nobody", "awssecrets://nobody: 127.0.0.1 answered 404: Resource"),
        ("awssecrets://prod/llm#other", "has no field 'other'; it has: key"),
        ("awssecrets://prod/llm?region=us-east-1", "ResourceNotFound"),
        ("awsssm://nobody", "ParameterNotFound"),
    ],
)
async def test_what_is_not_there_is_said(moto: str, text: str, says: str) -> None:
    env = {**KEYS, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": moto}
    with pytest.raises(BadConfig) as caught:
        await fetched([text], env)
    assert says in str(caught.value)
    assert "canary" not in str(caught.value)


async def test_a_pod_s_role_is_assumed(moto: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("canary-web-identity\n")
    env = {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/llm",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": moto,
    }
    assert await fetched(["awssecrets://plain"], env) == {"awssecrets://plain": "canary-2"}


async def test_a_container_s_role_is_asked_for(moto: str, tmp_path: Path) -> None:
    file = tmp_path / "authorization"
    file.write_text("canary-pod")
    given = {"AccessKeyId": "canary-id", "SecretAccessKey": "canary-secret", "Token": "canary-t"}
    async with Upstream(says(json.dumps(given).encode())) as container:
        env = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{container.url}/v1/credentials?a=1",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file),
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": moto,
        }
        assert await fetched(["awssecrets://plain"], env) == {"awssecrets://plain": "canary-2"}
        (entry,) = container.book
    assert entry.path == "/v1/credentials?a=1"
    assert entry.headers[b"authorization"] == b"canary-pod"


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("awssecrets://a", b'{"SecretBinary": 5}'),
        ("awssecrets://a", b'{"SecretBinary": null}'),
        ("awssecrets://a", b'{"SecretBinary": "//79"}'),
        ("awssecrets://a", b'{"Name": "a"}'),
        ("awsssm://a", b'{"Parameter": []}'),
        ("awsssm://a", b'{"Parameter": null}'),
        ("awsssm://a", b'{"Parameter": "canary"}'),
    ],
)
async def test_a_reply_that_holds_no_secret_is_said_to(text: str, reply: bytes) -> None:
    async with Upstream(says(reply)) as keeper:
        env = {**KEYS, "AWS_REGION": REGION, "AWS_ENDPOINT_URL": keeper.url}
        with pytest.raises(BadConfig, match="its keeper answered with what is no secret"):
            await fetched([text], env)


async def test_what_is_no_json_or_too_deep_is_said() -> None:
    for reply in (b"[" * 100_000, b'{"SecretString": "\xff"}', b"<a>"):
        async with Upstream(says(reply)) as keeper:
            env = {**KEYS, "AWS_REGION": REGION, "AWS_ENDPOINT_URL": keeper.url}
            with pytest.raises(BadConfig, match="answered 200 with what is no JSON"):
                await fetched(["awssecrets://a"], env)


@pytest.mark.parametrize("value", ["null", "true", '["canary"]', "1.5"])
async def test_only_a_text_is_a_secret(value: str) -> None:
    replies = {
        "awssecrets://a": f'{{"SecretString": {value}}}',
        "awsssm://a": f'{{"Parameter": {{"Value": {value}}}}}',
    }
    for text, reply in replies.items():
        async with Upstream(says(reply.encode())) as keeper:
            env = {**KEYS, "AWS_REGION": REGION, "AWS_ENDPOINT_URL": keeper.url}
            with pytest.raises(BadConfig, match=r"the secret is .*, and must be a text"):
                await fetched([text], env)


@pytest.mark.parametrize("arn", ["arn:aws:x", "arn:", "arn:aws:secretsmanager::1:secret:a"])
async def test_half_an_arn_is_said_to_be_none(arn: str) -> None:
    with pytest.raises(BadConfig, match="this is no ARN of a secret"):
        await fetched([f"awssecrets://{arn}"], KEYS)


async def test_without_credentials_or_region_it_says_what_to_set(moto: str) -> None:
    with pytest.raises(BadConfig, match="AWS_REGION or AWS_DEFAULT_REGION is not set"):
        await fetched(["awssecrets://plain"], KEYS)
    with pytest.raises(BadConfig, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        await fetched(["awssecrets://plain"], {"AWS_REGION": REGION})
