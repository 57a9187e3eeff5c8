"""Secrets kept by AWS: Secrets Manager and the Parameter Store.

Who asks is found as AWS's own tools find it, without their files: the variables
`AWS_ACCESS_KEY_ID`, ...; a web identity (`AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`, as EKS
sets them); the container's address (`AWS_CONTAINER_CREDENTIALS_FULL_URI`, ECS and EKS).

References: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html,
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html,
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html,
https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html

Not promised: profiles of `~/.aws`, and the metadata service of bare EC2 machines.
"""

import re
from base64 import b64decode
from typing import Any
from urllib.parse import urlencode

import msgspec

from octoplex.secrets.keeper import Errand, asked, refused, sent, text_of
from octoplex.secrets.reference import Reference
from octoplex.transport.http import Request
from octoplex.transport.origin import Origin
from octoplex.transport.sigv4 import Credentials, Scope, Unsigned, sign
from octoplex.wire.error import BadConfig

_OF_STS = re.compile(rb"<(AccessKeyId|SecretAccessKey|SessionToken|Message)>([^<]*)</\1>")
"""STS answers in XML of its own; of that, these."""
ECS = "http://169.254.170.2"


async def secrets_manager(reference: Reference, errand: Errand) -> Any:
    """A secret of Secrets Manager, by name or ARN."""
    wanted = {"SecretId": reference.path}
    for option, member in (("version_id", "VersionId"), ("version_stage", "VersionStage")):
        if reference.option(option):
            wanted[member] = reference.option(option)
    target = "secretsmanager.GetSecretValue"
    reply = await _call(reference, errand, "secretsmanager", target, wanted)
    if "SecretString" in reply:
        return reply["SecretString"]
    return b64decode(reply["SecretBinary"]).decode()


async def parameter_store(reference: Reference, errand: Errand) -> Any:
    """A parameter, decrypted where it is a SecureString."""
    wanted = {"Name": reference.path, "WithDecryption": True}
    reply = await _call(reference, errand, "ssm", "AmazonSSM.GetParameter", wanted)
    return reply["Parameter"]["Value"]


async def _call(
    reference: Reference, errand: Errand, service: str, target: str, wanted: dict[str, Any]
) -> dict[str, Any]:
    region = _region(reference, errand)
    origin = _origin(errand, service, region)
    body = msgspec.json.encode(wanted)
    headers = (("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target))
    who = await _credentials(errand, region)
    unsigned = Unsigned(
        method="POST", host=origin.authority, path=origin.path or "/", headers=headers, body=body
    )
    signed = sign(unsigned, who, Scope(region, service), errand.now())
    path = "" if origin.path else "/"
    request = Request(origin, origin.head("POST", path, headers + signed), body, idempotent=True)
    status, reply = await asked(errand, request)
    if status != 200 or not isinstance(reply, dict):
        said = reply if not isinstance(reply, dict) else reply.get("message", reply.get("Message"))
        kind = str(reply.get("__type", "")).rpartition("#")[2] if isinstance(reply, dict) else ""
        raise refused(errand, request, status, f"{kind} {said or ''}".strip())
    return reply


def _region(reference: Reference, errand: Errand) -> str:
    if reference.option("region"):
        return reference.option("region")
    if reference.path.startswith("arn:"):
        parts = reference.path.split(":")
        if len(parts) < 6 or not parts[3]:
            raise BadConfig("this is no ARN of a secret; write arn:aws:SERVICE:REGION:ACCOUNT:NAME")
        return parts[3]
    return errand.needed("AWS_REGION", "AWS_DEFAULT_REGION")


def _origin(errand: Errand, service: str, region: str) -> Origin:
    own = (
        f"AWS_ENDPOINT_URL_{'SECRETS_MANAGER' if service == 'secretsmanager' else service.upper()}"
    )
    end = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    usual = f"https://{service}.{region}.{end}"
    url = errand.env.get(own) or errand.env.get("AWS_ENDPOINT_URL") or usual
    return Origin.parse(url, errand.proxies)


async def _credentials(errand: Errand, region: str) -> Credentials:
    env = errand.env
    if env.get("AWS_ACCESS_KEY_ID") and env.get("AWS_SECRET_ACCESS_KEY"):
        return Credentials(
            env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env.get("AWS_SESSION_TOKEN", "")
        )
    if env.get("AWS_WEB_IDENTITY_TOKEN_FILE") and env.get("AWS_ROLE_ARN"):
        return await _by_web_identity(errand, region)
    if env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        return await _of_container(errand, env["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
    if env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        return await _of_container(errand, ECS + env["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"])
    raise BadConfig(
        "there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give "
        "the container or the pod a role"
    )


async def _by_web_identity(errand: Errand, region: str) -> Credentials:
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": errand.env["AWS_ROLE_ARN"],
        "RoleSessionName": errand.env.get("AWS_ROLE_SESSION_NAME") or "octoplex",
        "WebIdentityToken": text_of(errand.env["AWS_WEB_IDENTITY_TOKEN_FILE"]),
    }
    origin = _origin(errand, "sts", region)
    headers = (("content-type", "application/x-www-form-urlencoded"),)
    head = origin.head("POST", "" if origin.path else "/", headers)
    request = Request(origin, head, urlencode(form).encode(), idempotent=True)
    status, body = await sent(errand, request)
    found = {name.decode(): value.decode() for name, value in _OF_STS.findall(body)}
    if "AccessKeyId" not in found or "SecretAccessKey" not in found:
        raise refused(errand, request, status, found.get("Message", ""))
    return Credentials(
        found["AccessKeyId"], found["SecretAccessKey"], found.get("SessionToken", "")
    )


async def _of_container(errand: Errand, url: str) -> Credentials:
    token = errand.env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    if errand.env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        token = text_of(errand.env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"])
    base, _, path = url.partition("://")[2].partition("/")
    origin = Origin.parse(f"{url.partition('://')[0]}://{base}", errand.proxies)
    headers = (("authorization", token),) if token else ()
    request = Request(origin, origin.head("GET", f"/{path}", headers), idempotent=True)
    status, reply = await asked(errand, request)
    try:
        return Credentials(reply["AccessKeyId"], reply["SecretAccessKey"], reply.get("Token", ""))
    except (KeyError, TypeError):
        raise refused(errand, request, status, "no credentials of the container") from None
