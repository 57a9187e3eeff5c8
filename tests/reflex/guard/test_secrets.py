"""Secrets. Every key is made up for this file."""

import base64
import json

import pytest

from octoplex.reflex.guard.scan import patterns
from tests.reflex.guard.found import detector, found

R = "q7Zp3Lk9Xv2Nb8Wc4Td6Yf1Gh5Js0RmAeUiOoPlKjHgFdSaQwErTyUiOpZxCvBn9m8n7b6v5c4x3z2"
"""Varied letters and digits to cut keys from."""
HEX = "9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a3928"
JWT = ".".join(
    base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
    for part in ({"alg": "HS256", "typ": "JWT"}, {"sub": "1234567890", "name": "Ana"}, R[:40])
)
PEM = f"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA{R}\n{R}\n-----END RSA PRIVATE KEY-----"

TRUE = [
    ("api_key", f"re_{R[:8]}_{R[8:32]}"),
    ("api_key", f"AKCp8{R[:68]}"),
    ("api_key", f"CFPAT-{R[:43]}"),
    ("fly_token", f"fm2_{R * 5}"),
    ("supabase_key", f"sbp_fc{HEX[:44]}"),
    ("supabase_key", f"sbp_{HEX[:40]}"),
    ("supabase_key", f"sb_secret_{R[:31]}"),
    ("rubygems_key", f"rubygems_{HEX}"),
    ("mapbox_token", f"sk.eyJ1Ijoi{R[:40]}.{R[:22]}"),
    ("airtable_token", f"pat{R[:14]}.{HEX}{HEX[:16]}"),
    ("fly_token", f"fm2_{R[:60]}"),
    ("pulumi_token", f"pul-{HEX[:40]}"),
    ("dynatrace_token", f"dt0c01.{R[:24].upper()}.{R[:64].upper()}"),
    ("planetscale_token", f"pscale_tkn_{R[:43]}"),
    ("heroku_key", f"HRKU-AA{R[:58]}"),
    ("openai_key", f"sk-proj-{R[:48]}"),
    ("openai_key", f"sk-{R[:48]}"),
    ("anthropic_key", f"sk-ant-api03-{R[:60]}-AA"),
    ("openrouter_key", f"sk-or-v1-{HEX}{HEX[:16]}"),
    ("google_key", f"AIzaSy{R[:33]}"),
    ("google_key", f"GOCSPX-{R[:28]}"),
    ("aws_key_id", "AKIACANARYCANARY2345"),
    ("github_token", f"ghp_{R[:36]}"),
    ("github_token", f"github_pat_{R[:22]}_{R[:59]}"),
    ("gitlab_token", f"glpat-{R[:20]}"),
    ("slack_token", f"xoxb-2345678901-2345678901234-{R[:24]}"),
    ("slack_webhook", f"https://hooks.slack.com/services/T01ABCDEF/B01ABCDEF/{R[:24]}"),
    ("stripe_key", f"sk_live_{R[:24]}"),
    ("stripe_key", f"rk_test_{R[:24]}"),
    ("huggingface_token", f"hf_{R[:34]}"),
    ("npm_token", f"npm_{R[:36]}"),
    ("pypi_token", f"pypi-AgEIcHlwaS5vcmc{R[:70]}"),
    ("sendgrid_key", f"SG.{R[:22]}.{R[:43]}"),
    ("twilio_key", f"SK{HEX[:32]}"),
    ("mailgun_key", f"key-{HEX[:32]}"),
    ("mailgun_key", f"{HEX[:32]}-{HEX[32:40]}-{HEX[40:48]}"),
    ("mailchimp_key", f"{HEX[:32]}-us12"),
    ("digitalocean_token", f"dop_v1_{HEX}{HEX[:16]}"),
    ("shopify_token", f"shpat_{HEX[:32]}"),
    ("square_token", f"sq0atp-{R[:22]}"),
    ("databricks_token", f"dapi{HEX[:32]}"),
    ("groq_key", f"gsk_{R[:52]}"),
    ("xai_key", f"xai-{R}"),
    ("perplexity_key", f"pplx-{R[:48]}"),
    ("replicate_token", f"r8_{R[:37]}"),
    ("nvidia_key", f"nvapi-{R[:64]}"),
    ("notion_token", f"ntn_{R[:46]}"),
    ("linear_key", f"lin_api_{R[:40]}"),
    ("atlassian_token", f"ATATT3xFfGF0{R[:60]}"),
    ("figma_token", f"figd_{R[:40]}"),
    ("postman_key", f"PMAK-{HEX[:24]}-{HEX[:34]}"),
    ("docker_token", f"dckr_pat_{R[:27]}"),
    ("vault_token", f"hvs.{R[:60]}"),
    ("terraform_token", f"{R[:14]}.atlasv1.{R[:60]}"),
    ("grafana_token", f"glsa_{R[:32]}_{HEX[:8]}"),
    ("newrelic_key", f"NRAK-{R.upper()[:27]}"),
    ("sentry_token", f"sntrys_{R[:60]}"),
    ("doppler_token", f"dp.pt.{R[:43]}"),
    ("doppler_token", f"dp.st.prd_eu-1.{R[:43]}"),
    ("doppler_token", f"dp.scim.{R[:43]}"),
    ("telegram_token", f"123456789:AA{R[:33]}"),
    ("discord_token", f"M{R[:25]}.{R[:6]}.{R[:38]}"),
    ("discord_webhook", f"https://discord.com/api/webhooks/123456789012345678/{R[:68]}"),
    ("jwt", JWT),
    ("private_key", PEM),
    ("private_key", PEM.replace("\n", "\\n")),
    ("connection_string", "postgresql://admin:S3cr3tP4ss@db.acme.example:5432/prod"),
    ("connection_string", "redis://:Tr0ub4dor@cache.acme.example:6379"),
]
ASSIGNED = [
    ("api_key", f"os.environ['WANDB_API_KEY'] = '{HEX[:40]}'", HEX[:40]),
    ("api_key", f'var apiSecret = @"{HEX[:40]}";', HEX[:40]),
    ("api_key", f"wandb login {HEX[:40]}", HEX[:40]),
    ("api_key", f"algoliasearch('APP', '{HEX[:32]}')", HEX[:32]),
    (
        "api_key",
        "service_key: 13e7e1cb-5f23-4a9d-a7d8-5da6fbe087c4",
        "13e7e1cb-5f23-4a9d-a7d8-5da6fbe087c4",
    ),
    ("password", '<property name="password" value="MaIKOXL?rVcop7Rt"/>', "MaIKOXL?rVcop7Rt"),
    ("password", "<key>SmtpPassword</key><value>lDF7FEdwmuhCbh</value>", "lDF7FEdwmuhCbh"),
    (
        "basic_auth",
        '{"auths": {"img.corp.example": {"auth": "ZGVwbG95LWJvdDpBRlduRU84VGg0"}}}',
        "ZGVwbG95LWJvdDpBRlduRU84VGg0",
    ),
    ("password", "The wifi password at the office is Winter*991, the other changes.", "Winter*991"),
    ("password", "Das Passwort f\u00fcr den Testzugang lautet Gu21#gwzlfP.", "Gu21#gwzlfP"),
    ("password", "Le mot de passe du compte est Guitar*331.", "Guitar*331"),
    ("password", "Dein neues Passwort lautet: EYrZ451$trKmX bitte", "EYrZ451$trKmX"),
    ("password", "password di accesso: Copper!4637", "Copper!4637"),
    ("password", "La password del portale \u00e8 Gu17%475J2h.", "Gu17%475J2h"),
    ("password", "A senha do sistema \u00e9 Tod0XGxXDt3A8N1Mv.", "Tod0XGxXDt3A8N1Mv"),
    ("password", "L\u00f6senordet \u00e4r Gu1t@r_78!.", "Gu1t@r_78!"),
    ("password", "Has\u0142o do panelu: Wi46%cgiFbm", "Wi46%cgiFbm"),
    ("password", "net user Clara Guitar!370 /add", "Guitar!370"),
    (
        "telegram_token",
        f"https://api.telegram.org/bot6048369967:AA{R[:33]}/getMe",
        f"6048369967:AA{R[:33]}",
    ),
    ("azure_key", f"AccountName=a;AccountKey={(R * 2)[:86]}==;End", f"{(R * 2)[:86]}=="),
    ("password", 'password = "Tr0ub4dor&3"', "Tr0ub4dor&3"),
    ("password", "DB_PASSWORD=hunter2xyz!", "hunter2xyz!"),
    ("password", "my password is Corr3ct-Horse", "Corr3ct-Horse"),
    (
        "connection_string",
        "Server=db;User=sa;Password=Zx9#plmQ;Encrypt=1",
        "Server=db;User=sa;Password=Zx9#plmQ;Encrypt=1",
    ),
    ("password", '{"pwd": "p4ss/w0rd+"}', "p4ss/w0rd+"),
    ("password", "DB_PASSWORD=xK9$mPq2vL", "xK9$mPq2vL"),
    ("password", "curl -u admin:S3cr3tP4ss https://api.acme.io", "S3cr3tP4ss"),
    ("password", "mysql -u root --password=Zebra77Lamp main", "Zebra77Lamp"),
    ("password", "https://acme.io/login?password=Blu3H0rse99&x=1", "Blu3H0rse99"),
    ("password", "<password>Xa9!kk2Lz</password>", "Xa9!kk2Lz"),
    ("password", "password for the staging box is b4nanaSplit, bye", "b4nanaSplit"),
    ("password", "das Passwort lautet Sommer!2023x.", "Sommer!2023x"),
    ("password", 'passphrase: "correct-horse-battery-staple"', "correct-horse-battery-staple"),
    ("azure_key", f"Endpoint=sb://x/;SharedAccessKey={R[:43]}=", f"{R[:43]}="),
    ("azure_key", f"AZURE_OPENAI_API_KEY={HEX[:32]}", HEX[:32]),
    ("azure_key", f"Ocp-Apim-Subscription-Key: {HEX[:32]}", HEX[:32]),
    ("azure_key", f"x {R[:52]}JQQJ99{R[:26]} y", f"{R[:52]}JQQJ99{R[:26]}"),
    (
        "api_key",
        "api_key=f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
    ),
    ("api_key", f"ACME_KEY={R[:32]}", R[:32]),
    ("api_key", f"the token for the CI is {R[:40]}", R[:40]),
    ("api_key", f'api_key: "{R[:24]}"', R[:24]),
    ("api_key", f"client_secret={HEX[:32]}", HEX[:32]),
    ("api_key", f"X-Auth-Token: {R[:30]}", R[:30]),
    ("bearer_token", f"Authorization: Bearer {R[:40]}", R[:40]),
    ("basic_auth", "Authorization: Basic YWRtaW46czNjcjN0", "YWRtaW46czNjcjN0"),
    ("aws_secret_key", f"aws_secret_access_key = {R[:20]}/{R[21:40]}", f"{R[:20]}/{R[21:40]}"),
    ("twilio_key", f"TWILIO_AUTH_TOKEN={HEX[:32]}", HEX[:32]),
    ("azure_key", f"?sv=2022&sig={R[:43]}%3D", f"{R[:43]}%3D"),
    ("azure_key", f"az --account-key {(R * 2)[:86]}==", f"{(R * 2)[:86]}=="),
    ("password", "wifi password HSNAIN0VwIUIMn", "HSNAIN0VwIUIMn"),
    ("password", '"password": "fVqASTtWcnAXwB"', "fVqASTtWcnAXwB"),
    ("password", "ALTER USER a WITH PASSWORD 'will_JUNIPER284$';", "will_JUNIPER284$"),
    ("password", "пароль: harborSaffron00!", "harborSaffron00!"),
    ("password", "パスワードは Come_SAFFRON898$ です", "Come_SAFFRON898$"),
    ("api_key", f"Ihr API-Schlüssel: {R[:32]}", R[:32]),
    (
        "aws_secret_key",
        '"SecretAccessKey": "OmPRuTnTgaFiaaXLKZKllbbtMQpPqgMQDSIDKyRu"',
        "OmPRuTnTgaFiaaXLKZKllbbtMQpPqgMQDSIDKyRu",
    ),
    (
        "connection_string",
        "url=jdbc:mysql://db:3306/crm?user=rw&password=yhBTyXccUxY2LUoo",
        "jdbc:mysql://db:3306/crm?user=rw&password=yhBTyXccUxY2LUoo",
    ),
    (
        "connection_string",
        'dsn "host=db port=5432 dbname=a user=rw password=dVHQnL0TlxPb"',
        "host=db port=5432 dbname=a user=rw password=dVHQnL0TlxPb",
    ),
]
FALSE = [
    "assembly: nova, Culture=neutral, PublicKeyToken=7f1851cfae6d0cd4",
    "the password for the account is required",
    "The password in the config is base64-encoded and the password at the meeting is wrong",
    "net user Clara /active:no",
    "the password hashPasswordV2 function and password Base64Encoder",
    "jdbc:mysql://db:3306/crm?user=rw&password=changeme",
    "host=db port=5432 password=${PG_PASSWORD}",
    "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "OPENAI_API_KEY=sk-your-key-here-please-replace",
    "api_key = os.environ['API_KEY']",
    'password: "${DB_PASSWORD}"',
    "password = getpass.getpass()",
    'password = "changeme123"',
    "password: string",
    "the password is required and must have 8 characters",
    "token = request.headers['authorization']",
    "max_tokens=4096, token_count: 1234567890123",
    'token_type = "urn:ietf:params:oauth:token-type:jwt"',
    "cache_key: d670460b4b4aece5915caf5c68d12f560a9fe3e4",
    "key=f47ac10b-58cc-4372-a567-0e02b2c3d479",
    "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "if password == user.password_hash: return token",
    "password = request.form['password_1']",
    "Server=db;User=sa;Password=password;Encrypt=1",
    "api_key=<YOUR_API_KEY> secret={{ vault.secret_v2 }}",
    "postgres://user:password@localhost:5432/app",
    "https://user:${TOKEN}@host.example/x",
    "http://localhost:8080/a@b",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
    'grep -r "BEGIN RSA PRIVATE KEY" .',
    "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQG",
    "eyJub3QiOiJhIGp3dCBidXQganNvbiJ9",
    "Bearer token authentication, Basic authentication",
    "commit 9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "class SK: pass; skip-this-long-identifier-with-dashes-in-it-please",
    "ghp_short npm_install hf_hub_download pypi-AgE",
]


@pytest.mark.parametrize(("name", "key"), TRUE)
def test_keys_are_known_by_their_form(name: str, key: str) -> None:
    assert (name, key) in found(f'KEY "{key}" end', "secret")


@pytest.mark.parametrize(("name", "text", "value"), ASSIGNED)
def test_what_is_assigned_is_the_secret(name: str, text: str, value: str) -> None:
    assert (name, value) in found(text, "secret")


@pytest.mark.parametrize("text", FALSE)
def test_placeholders_names_and_hashes_are_none(text: str) -> None:
    assert found(text, "secret") == []


def test_every_type_has_an_example() -> None:
    types = {name for name, *_ in [*TRUE, *ASSIGNED]}
    assert types == {pattern.type for pattern in patterns(["secret"])}


def test_a_key_without_its_end_goes_to_the_end_of_the_text() -> None:
    begun = f"see {PEM[:60]}"
    (finding,) = detector("secret").find(begun)
    assert (finding.start, finding.end, finding.type) == (4, len(begun), "private_key")
    assert detector("secret").open_from(begun) == 4
    (whole,) = detector("secret").find(f"see {PEM} and more")
    assert whole.end == 4 + len(PEM)


def test_a_key_in_base64_ends_with_it() -> None:
    text = f"see {base64.b64encode(PEM[:60].encode()).decode()} and more "
    assert [name for name, _ in found(text, "secret")] == ["private_key"]
    assert detector("secret").open_from(text) == len(text)
