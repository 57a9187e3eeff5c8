"""Secrets of the fourth set: the kinds of `keys.py` and other vendors', in the form each publishes.

What a vendor gives no name of its own among the guard's types is an ``api_key``. All are random.
"""

from __future__ import annotations

import base64
import json
import string
import uuid

from bench.guard_sets.drawing import (
    ALNUM,
    BASE32,
    DIGITS,
    HEX,
    LOWER,
    UPPER,
    URLSAFE,
    Draw,
    Random,
    some,
)
from bench.guard_sets.keys import SECRETS, after, password, slack, urlsafe

BASE64 = ALNUM + "+/"
LOWALNUM = LOWER + DIGITS


def slack_hook(rng: Random) -> str:
    """An incoming webhook, whole."""
    places = f"T{some(rng, UPPER + DIGITS, 10)}/B{some(rng, UPPER + DIGITS, 10)}"
    return f"https://hooks.slack.com/services/{places}/{some(rng, ALNUM, 24)}"


def discord_bot(rng: Random) -> str:
    """The bot's number in base64, a time, a signature."""
    number = base64.b64encode(("1" + some(rng, DIGITS, 17)).encode()).decode().rstrip("=")
    return f"{number}.{some(rng, 'GH', 1)}{some(rng, URLSAFE, 5)}.{some(rng, URLSAFE, 38)}"


def discord_hook(rng: Random) -> str:
    """A webhook, whole."""
    return f"https://discord.com/api/webhooks/11{some(rng, DIGITS, 17)}/{some(rng, URLSAFE, 68)}"


def uuid4(prefix: str = "") -> Draw:
    """Return what draws a UUID behind a prefix."""
    return lambda rng: prefix + str(uuid.UUID(bytes=rng.randbytes(16), version=4))


def onepassword(rng: Random) -> str:
    """A service account's token: JSON in base64."""
    claims = {"signInAddress": "my.1password.com", "secretKey": some(rng, BASE32, 26)}
    return "ops_" + urlsafe(json.dumps(claims | {"muk": some(rng, HEX, 90)}).encode())


def basic(rng: Random) -> str:
    """User and password in base64, as HTTP's basic authentication sends them."""
    return base64.b64encode(f"deploy-bot:{some(rng, ALNUM, 18)}".encode()).decode()


def hashed_b64(rng: Random) -> str:
    """A Kubernetes value: a made password in base64."""
    return base64.b64encode(some(rng, ALNUM + "!#%", 22).encode()).decode()


def strong(rng: Random) -> str:
    """What a password manager makes."""
    return (
        some(rng, ALNUM, 5)
        + rng.choice("!@%^&*")
        + some(rng, ALNUM + "!@%^&*-_", 13)
        + some(rng, DIGITS, 1)
    )


MORE: dict[str, dict[str, Draw]] = {
    "slack_webhook": {"plain": slack_hook},
    "discord_token": {"plain": discord_bot},
    "discord_webhook": {"plain": discord_hook},
    "telegram_token": {
        "plain": lambda rng: (
            f"{some(rng, '56781', 1)}{some(rng, DIGITS, 9)}:AA{some(rng, URLSAFE, 33)}"
        )
    },
    "shopify_token": {
        "admin": after("shpat_", HEX, 32),
        "custom": after("shpca_", HEX, 32),
        "shared": after("shpss_", HEX, 32),
    },
    "square_token": {"plain": lambda rng: f"EAAA{some(rng, URLSAFE, 60)}"},
    "digitalocean_token": {"plain": after("dop_v1_", HEX, 64), "oauth": after("doo_v1_", HEX, 64)},
    "databricks_token": {"plain": after("dapi", HEX, 32), "numbered": after("dapi", HEX, 32, "-3")},
    "notion_token": {
        "new": lambda rng: f"ntn_{some(rng, DIGITS, 11)}{some(rng, ALNUM, 35)}",
        "old": after("secret_", ALNUM, 43),
    },
    "linear_key": {"plain": after("lin_api_", ALNUM, 40)},
    "figma_token": {"plain": lambda rng: f"figd_{some(rng, URLSAFE, 40)}"},
    "airtable_token": {"plain": lambda rng: f"pat{some(rng, ALNUM, 14)}.{some(rng, HEX, 64)}"},
    "atlassian_token": {
        "plain": lambda rng: f"ATATT3xFfGF0{some(rng, URLSAFE, 171)}={some(rng, HEX.upper(), 8)}"
    },
    "postman_key": {"plain": lambda rng: f"PMAK-{some(rng, HEX, 24)}-{some(rng, HEX, 34)}"},
    "newrelic_key": {"user": after("NRAK-", UPPER + DIGITS, 27)},
    "grafana_token": {
        "account": lambda rng: f"glsa_{some(rng, ALNUM, 32)}_{some(rng, HEX, 8)}",
        "cloud": lambda rng: (
            "glc_"
            + base64.b64encode(
                json.dumps(
                    {"o": some(rng, DIGITS, 6), "n": "stack", "k": some(rng, ALNUM, 24)}
                ).encode()
            ).decode()
        ),
    },
    "vault_token": {"service": after("hvs.", URLSAFE, 95), "batch": after("hvb.", URLSAFE, 140)},
    "terraform_token": {
        "plain": lambda rng: f"{some(rng, ALNUM, 14)}.atlasv1.{some(rng, URLSAFE, 67)}"
    },
    "doppler_token": {
        "personal": after("dp.pt.", ALNUM, 43),
        "service": after("dp.st.prd.", ALNUM, 43),
    },
    "dynatrace_token": {
        "plain": lambda rng: f"dt0c01.{some(rng, BASE32, 24)}.{some(rng, BASE32, 64)}"
    },
    "mailgun_key": {
        "plain": lambda rng: f"key-{some(rng, HEX, 32)}",
        "new": lambda rng: f"{some(rng, HEX, 32)}-{some(rng, HEX, 8)}-{some(rng, HEX, 8)}",
    },
    "mailchimp_key": {"plain": lambda rng: f"{some(rng, HEX, 32)}-us{rng.randrange(1, 22)}"},
    "sentry_token": {"user": after("sntryu_", HEX, 64)},
    "docker_token": {"plain": after("dckr_pat_", URLSAFE, 27)},
    "groq_key": {"plain": after("gsk_", ALNUM, 52)},
    "xai_key": {"plain": after("xai-", ALNUM, 80)},
    "perplexity_key": {"plain": after("pplx-", ALNUM, 48)},
    "openrouter_key": {"plain": after("sk-or-v1-", HEX, 64)},
    "replicate_token": {"plain": after("r8_", ALNUM, 37)},
    "nvidia_key": {"plain": after("nvapi-", URLSAFE, 64)},
    "slack_token": {
        "config": lambda rng: f"xoxe.xoxp-1-{some(rng, BASE64[:62], 163)}",
        "legacy": slack("xoxp", 12, 12, 12),
    },
    "github_token": {
        "refresh": lambda rng: SECRETS["github_token"]["app"](rng).replace("ghs_", "ghr_"),
        "user_app": lambda rng: SECRETS["github_token"]["app"](rng).replace("ghs_", "ghu_"),
    },
    "gitlab_token": {
        "feed": after("glft-", URLSAFE, 20),
        "job": lambda rng: f"glcbt-64_{some(rng, URLSAFE, 20)}",
        "agent": after("glagent-", URLSAFE, 50),
    },
    "bearer": {"opaque": after("", URLSAFE, 52), "hex": after("", HEX, 64)},
    "password": {"strong": strong, "people": password},
    "api_key": {
        "langfuse": uuid4("sk-lf-"),
        "langsmith": lambda rng: f"lsv2_pt_{some(rng, HEX, 32)}_{some(rng, HEX, 10)}",
        "pinecone": lambda rng: f"pcsk_{some(rng, ALNUM, 6)}_{some(rng, ALNUM, 63)}",
        "deepseek": after("sk-", HEX, 32),
        "tavily": after("tvly-", ALNUM, 32),
        "firecrawl": after("fc-", HEX, 32),
        "cerebras": after("csk-", LOWALNUM, 48),
        "fireworks": after("fw_", ALNUM, 24),
        "together": after("tgp_v1_", URLSAFE, 43),
        "elevenlabs": after("sk_", HEX, 48),
        "resend": lambda rng: f"re_{some(rng, ALNUM, 8)}_{some(rng, ALNUM, 24)}",
        "brevo": lambda rng: f"xkeysib-{some(rng, HEX, 64)}-{some(rng, ALNUM, 16)}",
        "buildkite": after("bkua_", HEX, 40),
        "circleci": lambda rng: f"CCIPAT_{some(rng, ALNUM, 22)}_{some(rng, HEX, 40)}",
        "sonar": after("squ_", HEX, 40),
        "jfrog": after("AKCp", ALNUM, 69),
        "typeform": lambda rng: f"tfp_{some(rng, ALNUM, 40)}_{some(rng, ALNUM, 14)}",
        "netlify": after("nfp_", ALNUM, 36),
        "tailscale": lambda rng: f"tskey-auth-k{some(rng, ALNUM, 10)}CNTRL-{some(rng, ALNUM, 32)}",
        "onepassword": onepassword,
        "age": after("AGE-SECRET-KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
        "contentful": after("CFPAT-", URLSAFE, 43),
        "duffel": after("duffel_live_", URLSAFE, 43),
        "easypost": after("EZAK", HEX, 54),
        "shippo": after("shippo_live_", HEX, 40),
        "flutterwave": lambda rng: f"FLWSECK-{some(rng, HEX, 32)}-X",
        "alibaba": after("LTAI5t", ALNUM, 18),
        "datadog": after("", HEX, 32),
        "algolia": after("", HEX, 32),
        "cloudflare": after("", URLSAFE, 40),
        "pagerduty": after("u+", URLSAFE, 18),
        "okta": after("00", URLSAFE, 40),
        "wandb": after("", HEX, 40),
        "plain": after("", string.ascii_letters + DIGITS, 36),
        "uuid": uuid4(),
        "basic": basic,
        "sealed": hashed_b64,
    },
}
MORE["api_key"] |= {f"bearer_{k}": d for k, d in MORE.pop("bearer").items()}

SECRET: dict[str, dict[str, Draw]] = {
    name: SECRETS.get(name, {}) | MORE.get(name, {})
    for name in sorted(SECRETS.keys() | MORE.keys())
}
