"""Secrets of the second set: drawn in the form their vendor documents, opened by nothing."""

from __future__ import annotations

import base64
import json

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
from bench.guard_sets.keys import crc62, pem, service_account

# ruff: noqa: E501

BASE62 = ALNUM


def after(prefix: str, alphabet: str, count: int, end: str = "") -> Draw:
    """Return what draws so many characters after a prefix."""
    return lambda rng: prefix + some(rng, alphabet, count) + end


def urlsafe(data: bytes) -> str:
    """Write base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def parts(*draws: Draw, gap: str = "") -> Draw:
    """Return what draws all of these in a row."""
    return lambda rng: gap.join(draw(rng) for draw in draws)


def jwt(rng: Random) -> str:
    """A signed token with claims of an identity provider."""
    head = {
        "typ": "JWT",
        "alg": rng.choice(("RS256", "ES256", "HS384")),
        "kid": some(rng, ALNUM, 8),
    }
    body = {
        "iss": "https://login.voltmark.eu/",
        "aud": some(rng, LOWER, 7),
        "exp": 1_760_000_000 + rng.randrange(10**7),
        "roles": ["staff"],
    }
    if rng.random() < 0.5:
        head.pop("kid")
    size = 64 if head["alg"] == "ES256" else 256 if head["alg"] == "RS256" else 48
    return ".".join(
        [*(urlsafe(json.dumps(p).encode()) for p in (head, body)), urlsafe(rng.randbytes(size))]
    )


def password(rng: Random) -> str:
    """As people and managers of passwords make them."""
    word = rng.choice(
        ("Otter", "kayak", "Pepper", "Zermatt", "bluebird", "Rhubarb", "sunset", "Arsenal")
    )
    return rng.choice((
        f"{word}{rng.randrange(1960, 2026)}{rng.choice('!?*')}", f"{word}&{some(rng, LOWER, 4)}{some(rng, DIGITS, 3)}",
        some(rng, ALNUM + "!@#%^*_-", 18), some(rng, ALNUM, 14), f"{word.replace('e', '3').replace('a', '@')}_{some(rng, DIGITS, 4)}",
        f"{some(rng, LOWER, 5)}-{some(rng, LOWER, 6)}-{some(rng, LOWER, 5)}{rng.randrange(10)}",
    ))  # fmt: skip


def connection(rng: Random) -> str:
    """A URL or list of settings with a password in it."""
    user, secret, host = (
        rng.choice(("svc_intake", "root", "ledger_rw", "celery")),
        some(rng, ALNUM, 16),
        rng.choice(
            ("db-2.voltmark.eu", "10.8.0.14", "mysql", "prod.c9x.eu-west-1.rds.amazonaws.com")
        ),
    )
    return rng.choice((
        f"postgres://{user}:{secret}@{host}:5432/intake?sslmode=require", f"mysql+pymysql://{user}:{secret}@{host}/shop", f"mongodb://{user}:{secret}@{host}:27017/admin",
        f"redis://default:{secret}@{host}:6379/2", f"amqps://{user}:{secret}@{host}/vh", f"postgresql+psycopg://{user}:{secret}@{host}:6432/atlas",
        f"Server={host};Database=Shop;User Id={user};Password={secret};TrustServerCertificate=true", f"rediss://:{secret}@{host}:6380/0",
        f"jdbc:mysql://{host}:3306/crm?user={user}&password={secret}", f"host={host} port=5432 dbname=atlas user={user} password={secret}",
    ))  # fmt: skip


def bot(rng: Random) -> str:
    """A Discord bot's token: its id, a moment, a signature."""
    snowflake = str(rng.randrange(10**17, 13 * 10**17))
    return f"{urlsafe(snowflake.encode())}.{some(rng, UPPER, 1)}{some(rng, ALNUM, 5)}.{some(rng, URLSAFE, 38)}"


def basic(rng: Random) -> str:
    """User and password, joined and encoded."""
    return base64.b64encode(
        f"{rng.choice(('ci', 'reporting', 'a.wrona', 'partner-api'))}:{password(rng)}".encode()
    ).decode()


def sentry(rng: Random) -> str:
    """An organisation's token: claims, then a secret."""
    claims = {
        "iat": 1_700_000_000.5 + rng.randrange(10**7),
        "url": "https://sentry.io",
        "region_url": "https://de.sentry.io",
        "org": "voltmark",
    }
    return (
        "sntrys"
        + "_"
        + base64.b64encode(json.dumps(claims).encode()).decode()
        + "_"
        + some(rng, ALNUM + "+/", 43)
    )


_RSA = bytes.fromhex("308204a30201000282010100")
_PKCS8 = bytes.fromhex("308204bd020100300d06092a864886f70d0101010500048204a7308204a3")
_EC = bytes.fromhex("30770201010420")
_SSH = b"openssh-key-v1\0" + bytes.fromhex("000000046e6f6e65000000046e6f6e65")

# By context alone: what a reader knows by the words around it.
FEW: dict[str, list[Draw]] = {
    "private_key": [pem("RSA PRIVATE KEY", _RSA, 1180), pem("PRIVATE KEY", _PKCS8, 1180), pem("EC PRIVATE KEY", _EC, 114), pem("OPENSSH PRIVATE KEY", _SSH, 360), pem("ENCRYPTED PRIVATE KEY", _PKCS8, 1200)],
    "jwt": [jwt],
    "password": [password],
    "connection_string": [connection],
    "bearer_token": [after("", ALNUM, 40), after("", URLSAFE, 64), after("", HEX, 48)],
    "basic_auth": [basic],
    "azure_key": [lambda rng: base64.b64encode(rng.randbytes(64)).decode()],
    "azure_short": [after("", HEX, 32)],
    "aws_key_id": [after("AKIA", BASE32, 16), after("ASIA", BASE32, 16)],
    "aws_secret_key": [after("", ALNUM + "+/", 40)],
    "google_key": [after("AIza" + "Sy", URLSAFE, 33)],
    "gcp_service_account": [service_account],
    "slack_webhook": [lambda rng: f"https://hooks.slack.com/services/T{some(rng, BASE32, 10)}/B{some(rng, BASE32, 10)}/{some(rng, ALNUM, 24)}"],
    "discord_webhook": [lambda rng: f"https://{rng.choice(('discord.com', 'discordapp.com', 'canary.discord.com'))}/api/webhooks/1{some(rng, DIGITS, 18)}/{some(rng, URLSAFE, 68)}"],
    "api_key": [after("", HEX, 32), after("", ALNUM, 40), after("", URLSAFE, 36), lambda rng: f"vm_{rng.choice(('live', 'prod'))}_{some(rng, ALNUM, 26)}"],
    "twilio_auth": [after("", HEX, 32)],
}  # fmt: skip

# What carries its vendor's mark, and the name of the variable people keep it in.
MARKED: dict[str, tuple[str, list[Draw]]] = {
    "anthropic_key": ("ANTHROPIC_API_KEY", [after("sk-ant-api03-", URLSAFE, 93, "AA"), after("sk-ant-admin01-", URLSAFE, 93, "AA")]),
    "openai_key": ("OPENAI_API_KEY", [parts(after("sk-proj-", URLSAFE, 74), after("T3BlbkFJ", URLSAFE, 74)), parts(after("sk-", ALNUM, 20), after("T3BlbkFJ", ALNUM, 20)), parts(after("sk-svcacct-", URLSAFE, 74), after("T3BlbkFJ", URLSAFE, 74))]),
    "openrouter_key": ("OPENROUTER_API_KEY", [after("sk-or-v1-", HEX, 64)]),
    "stripe_key": ("STRIPE_SECRET_KEY", [after("sk_" + "live_", ALNUM, 24), after("rk_" + "live_51", ALNUM, 97), after("sk_" + "test_51", ALNUM, 97)]),
    "sendgrid_key": ("SENDGRID_API_KEY", [parts(after("SG.", URLSAFE, 22), after(".", URLSAFE, 43))]),
    "twilio_key": ("TWILIO_API_KEY_SID", [after("SK", HEX, 32)]),
    "mailgun_key": ("MAILGUN_API_KEY", [after("key-", HEX, 32), parts(after("", HEX, 32), after("-", HEX, 8), after("-", HEX, 8))]),
    "mailchimp_key": ("MAILCHIMP_KEY", [lambda rng: f"{some(rng, HEX, 32)}-us{rng.randrange(1, 22)}"]),
    "groq_key": ("GROQ_API_KEY", [after("gsk_", ALNUM, 52)]),
    "xai_key": ("XAI_API_KEY", [after("xai-", ALNUM, 80)]),
    "perplexity_key": ("PPLX_KEY", [after("pplx-", ALNUM, 48)]),
    "nvidia_key": ("NVIDIA_API_KEY", [after("nvapi-", URLSAFE, 64)]),
    "linear_key": ("LINEAR_API_KEY", [after("lin_api_", ALNUM, 40)]),
    "postman_key": ("POSTMAN_KEY", [parts(after("PMAK-", HEX, 24), after("-", HEX, 34))]),
    "newrelic_key": ("NEW_RELIC_API_KEY", [after("NRAK-", UPPER + DIGITS, 27)]),
    "github_token": ("GH_TOKEN", [lambda rng: "ghp_" + crc62(some(rng, BASE62, 30)), lambda rng: "ghs_" + crc62(some(rng, BASE62, 30)), lambda rng: f"github_pat_11{some(rng, BASE32, 20)}_{some(rng, ALNUM, 59)}"]),
    "gitlab_token": ("GITLAB_TOKEN", [after("glpat-", URLSAFE, 20), lambda rng: f"glpat-{some(rng, URLSAFE, 27)}.01.{some(rng, LOWER + DIGITS, 9)}", after("gldt-", URLSAFE, 20)]),
    "slack_token": ("SLACK_BOT_TOKEN", [lambda rng: f"xoxb-{rng.randrange(10**11, 10**13)}-{rng.randrange(10**12, 10**13)}-{some(rng, ALNUM, 24)}", lambda rng: f"xoxp-{rng.randrange(10**11, 10**12)}-{rng.randrange(10**11, 10**12)}-{rng.randrange(10**12, 10**13)}-{some(rng, HEX, 32)}", lambda rng: f"xapp-1-A{some(rng, BASE32, 10)}-{rng.randrange(10**12, 10**13)}-{some(rng, HEX, 64)}"]),
    "huggingface_token": ("HF_TOKEN", [after("hf_", ALNUM[:52], 34)]),
    "npm_token": ("NPM_TOKEN", [lambda rng: "npm_" + crc62(some(rng, BASE62, 30))]),
    "pypi_token": ("TWINE_PASSWORD", [lambda rng: "pypi-AgEIcHlwaS5vcmc" + "C" + urlsafe(rng.randbytes(126))]),
    "digitalocean_token": ("DIGITALOCEAN_TOKEN", [after("dop_v1_", HEX, 64), after("doo_v1_", HEX, 64)]),
    "shopify_token": ("SHOPIFY_ADMIN_TOKEN", [after("shpat_", HEX, 32), after("shpss_", HEX, 32), after("shppa_", HEX, 32)]),
    "square_token": ("SQUARE_ACCESS_TOKEN", [after("EAAA", URLSAFE, 60), after("sq0atp-", URLSAFE, 22), after("sq0csp-", URLSAFE, 43)]),
    "databricks_token": ("DATABRICKS_TOKEN", [after("dapi", HEX, 32), after("dapi", HEX, 32, "-2")]),
    "replicate_token": ("REPLICATE_API_TOKEN", [after("r8_", ALNUM, 37)]),
    "notion_token": ("NOTION_TOKEN", [after("secret_", ALNUM, 43), parts(after("ntn_", DIGITS, 11), after("", ALNUM, 35))]),
    "atlassian_token": ("JIRA_API_TOKEN", [lambda rng: f"ATATT3xFfGF0{some(rng, URLSAFE, 171)}={some(rng, DIGITS + 'ABCDEF', 8)}"]),
    "figma_token": ("FIGMA_TOKEN", [after("figd_", URLSAFE, 40)]),
    "docker_token": ("DOCKERHUB_TOKEN", [after("dckr_pat_", URLSAFE, 27)]),
    "vault_token": ("VAULT_TOKEN", [after("hvs.", URLSAFE, 90), after("hvs.", ALNUM, 24)]),
    "terraform_token": ("TF_TOKEN_app_terraform_io", [parts(after("", ALNUM, 14), after(".atlasv1.", ALNUM, 67))]),
    "grafana_token": ("GRAFANA_TOKEN", [lambda rng: f"glsa_{some(rng, ALNUM, 32)}_{some(rng, HEX, 8)}", lambda rng: "glc_" + base64.b64encode(json.dumps({"o": some(rng, DIGITS, 6), "n": "ci", "k": some(rng, ALNUM, 24), "m": {"r": "eu"}}).encode()).decode()]),
    "sentry_token": ("SENTRY_AUTH_TOKEN", [sentry, after("sntryu_", HEX, 64)]),
    "doppler_token": ("DOPPLER_TOKEN", [after("dp.pt.", ALNUM, 43), after("dp.st.prd.", ALNUM, 43)]),
    "telegram_token": ("TELEGRAM_BOT_TOKEN", [lambda rng: f"{rng.randrange(10**9, 8 * 10**9)}:AA{some(rng, URLSAFE, 33)}"]),
    "discord_token": ("DISCORD_TOKEN", [bot]),
}  # fmt: skip

# ``<<secret>>`` is the value, ``<<VAR>>`` the variable, ``<<var>>`` the same in small letters.
CARRIERS = (
    "<<VAR>>=<<secret>>",
    'export <<VAR>>="<<secret>>"',
    "  <<VAR>>: <<secret>>",
    '{"<<var>>": "<<secret>>"}',
    "client = Client(token='<<secret>>')",
    "hey can you test with <<secret>> ? mine expired",
    "curl -sS -H 'Authorization: Bearer <<secret>>' https://api.voltmark.eu/v1/me",
    '- name: <<VAR>>\n  value: "<<secret>>"',
    'const <<ident>> = "<<secret>>"; // TODO move to vault',
    "<<iso>> ERROR auth failed for key <<secret>> (401)",
    "-<<var>>: old\n+<<var>>: <<secret>>",
    "docker run -e <<VAR>>=<<secret>> voltmark/<<word>>:<<ver>>",
    "Ich habe aus Versehen <<secret>> in den Chat gepostet, muss ich ihn rotieren?",
    "| <<VAR>> | <<secret>> | prod |",
    "setx <<VAR>> <<secret>>",
    "the token is `<<secret>>` (valid until <<date>>)",
    "[credentials]\n<<var>> = <<secret>>",
    "j'ai mis <<secret>> dans le fichier .env et ça ne marche toujours pas",
    "$Env:<<VAR>> = '<<secret>>'",
    "ENV <<VAR>> <<secret>>",
    "fly secrets set <<VAR>>=<<secret>> --app <<word>>",
    "<<given>>: new one is <<secret>>\n<<given>>: thx",
    "Traceback (most recent call last):\n  File \"app/<<word>>.py\", line <<n>>\nAuthError: invalid token '<<secret>>'",
    'variable "<<var>>" {\n  default = "<<secret>>"\n}',
    '<add key="<<VAR>>" value="<<secret>>" />',
)

TEXTS: dict[str, tuple[str, ...]] = {
    "private_key": ("Is this key file all right?\n\n<<private_key>>\n", "tls.key: |\n<<private_key>>\n", "cat id_deploy\n<<private_key>>\nhost: <<priv>>", "key = \"\"\"<<private_key>>\"\"\""),
    "jwt": ("Cookie: session=<<jwt>>; theme=dark", "id_token=<<jwt>>", "why does <<jwt>> decode to the wrong audience?", "Authorization: Bearer <<jwt>>", '{"access_token":"<<jwt>>","expires_in":3600}'),
    "password": ("DB_PASSWORD=<<password>>", "my password is <<password>> and it still says wrong", "login <<given>> / pw: <<password>>", '"password": "<<password>>"', "Das Passwort lautet <<password>>", "mot de passe : <<password>>", "contraseña: <<password>>", "sshpass -p '<<password>>' ssh deploy@<<priv>>", "wifi password <<password>>", "mysql -u root -p<<password>> shop", "spring.datasource.password=<<password>>", "hasło: <<password>>", "the admin's passphrase: <<password>>", "PGPASSWORD='<<password>>' psql -h <<priv>>", "user: <<given>>\npass: <<password>>"),
    "connection_string": ("DATABASE_URL=<<connection_string>>", "engine = create_engine(\"<<connection_string>>\")", "connects with <<connection_string>> locally but not in CI", '"ConnectionStrings": {"Main": "<<connection_string>>"}', "<<iso>> FATAL could not connect: <<connection_string>>"),
    "bearer_token": ("Authorization: Bearer <<bearer_token>>", "curl -H \"Authorization: Bearer <<bearer_token>>\" https://api.voltmark.eu/v2/<<word>>", "headers = {'authorization': 'Bearer <<bearer_token>>'}", '"Authorization": "Bearer <<bearer_token>>",'),
    "basic_auth": ("Authorization: Basic <<basic_auth>>", "-H 'authorization: Basic <<basic_auth>>'", 'req.Header.Set("Authorization", "Basic <<basic_auth>>")', "proxy_set_header Authorization \"Basic <<basic_auth>>\";"),
    "azure_key": ("DefaultEndpointsProtocol=https;AccountName=<<word>>st;AccountKey=<<azure_key>>;EndpointSuffix=core.windows.net", "AZURE_STORAGE_KEY=<<azure_key>>", "AZURE_OPENAI_API_KEY=<<azure_short>>", "az cosmosdb key: <<azure_key>>", "Ocp-Apim-Subscription-Key: <<azure_short>>", "SharedAccessKeyName=Root;SharedAccessKey=<<azure_key>>"),
    "aws_key_id": ("aws_access_key_id = <<aws_key_id>>\naws_secret_access_key = <<aws_secret_key>>\nregion = eu-west-1", "AWS_ACCESS_KEY_ID=<<aws_key_id>>", "the key <<aws_key_id>> shows up in CloudTrail from <<town>>", "<AccessKeyId><<aws_key_id>></AccessKeyId>", "boto3.client('s3', aws_access_key_id='<<aws_key_id>>', aws_secret_access_key='<<aws_secret_key>>')"),
    "aws_secret_key": ("export AWS_SECRET_ACCESS_KEY=<<aws_secret_key>>", '{"AccessKeyId": "<<aws_key_id>>", "SecretAccessKey": "<<aws_secret_key>>"}', "secret access key: <<aws_secret_key>>", "accessKeyId: '<<aws_key_id>>',\nsecretAccessKey: '<<aws_secret_key>>',"),
    "google_key": ("https://maps.googleapis.com/maps/api/js?key=<<google_key>>&v=weekly", "GEMINI_API_KEY=<<google_key>>", "apiKey: '<<google_key>>',", "meu app usa <<google_key>>, por que 403?"),
    "gcp_service_account": ("sa.json:\n<<gcp_service_account>>", "GOOGLE_CREDENTIALS='<<gcp_service_account>>'", "what is wrong with this?\n<<gcp_service_account>>"),
    "slack_webhook": ("curl -X POST -d '{\"text\":\"hi\"}' <<slack_webhook>>", "SLACK_URL: <<slack_webhook>>", "post alerts to <<slack_webhook>> please"),
    "discord_webhook": ("webhook = '<<discord_webhook>>'", "the bot posts to <<discord_webhook>>", "DISCORD_HOOK=<<discord_webhook>>"),
    "api_key": ("API_KEY=<<api_key>>", "x-api-key: <<api_key>>", '"apiKey": "<<api_key>>"', "https://api.weather-hub.net/v1/now?q=Graz&apikey=<<api_key>>", "my api key is <<api_key>>", "Ihr API-Schlüssel: <<api_key>>", "api_secret: <<api_key>>", "WEATHER_TOKEN=<<api_key>>", "client_secret=<<api_key>>", "auth_token: \"<<api_key>>\""),
    "twilio_auth": ("TWILIO_AUTH_TOKEN=<<twilio_auth>>", "twilio auth token <<twilio_auth>>"),
}  # fmt: skip
NAMED = {"azure_short": "azure_key", "twilio_auth": "twilio_key"}
