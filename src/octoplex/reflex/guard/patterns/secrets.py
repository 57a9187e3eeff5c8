"""Secrets: keys by the prefixes that vendors give them, and values that are assigned to one.

A value counts only if it looks made by chance: placeholders, references to the environment,
names, hashes of git and UUIDs are none. Prefixes are those of the vendors' documentation and
of the lists of secret scanning (docs.github.com/code-security/secret-scanning).
"""

import binascii
import re

from octoplex.reflex.guard.checks import digits, entropy
from octoplex.reflex.guard.finding import Check, Pattern
from octoplex.reflex.guard.normal import anycase

_PLACEHOLDER = re.compile(
    r"(?i)x{4}|\*{3}|\.{3}|y?our[-_ ]|my[-_]?(?:api|secret|pass|token|key)|change[-_]?me|"
    r"placeholder|"
    r"redacted|dummy|insert|replace|<|^\$(?:[A-Za-z_]+$|\{|\()|\$\{|\{\{|%\(|0{6}|abcdefgh|todo|"
    r"^(?:none|null|true|false)$|EXAMPLE(?:KEY)?$"
)
_NAME = re.compile(
    r"[A-Za-z_][A-Za-z_-]*\d{0,2}(?:\.[A-Za-z_]\w*)*(?:\(.*)?|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+"
)
_HASH = re.compile(
    r"(?:[0-9a-f]{40}|[0-9A-F]{40}|(?i:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))"
)
_WEAK = frozenset(
    [
        "password",
        "passwd",
        "pass",
        "pwd",
        "secret",
        "root",
        "admin",
        "user",
        "username",
        "guest",
        "test",
        "example",
        "postgres",
        "mysql",
        "mongo",
        "redis",
        "default",
        "token",
        "apikey",
        "key",
        "foo",
        "bar",
        "baz",
        "letmein",
    ]
)


def _key(value: str, left: str) -> float:
    """Behind a vendor's prefix: varied, and no placeholder."""
    return 0 if len(set(value)) < 9 or _PLACEHOLDER.search(value) else 0.98


_OTHER = re.compile(
    r"(?i)(?:type|name|ur[il]|path|file|field|header|len|length|count|limit|_id|env|var|arn|"
    r"endpoint|regex|pattern|"
    r"format|hash|class|prefix|suffix|version|scope|algorithm|alg|max|(?<!ad)min|expir\w*|ttl|at|"
    r"index|"
    r"kind|label|public_?key_?token)"
    r"[\"'`]?\s*(?:=>|:=|==?|:|is|is set to)\s*[\"'`]?$"
)
"""What belongs to a secret and is none: `token_type = `."""


def _made(least: int, bits: float) -> Check:
    """Letters and digits of so many characters and bits each, by no pattern known as harmless."""

    def check(value: str, left: str) -> float:
        mixed = re.search(r"\d", value) and re.search(r"[A-Za-z]", value)
        if not mixed or len(value) < least or entropy(value) < bits or _PLACEHOLDER.search(value):
            return 0
        bare = not left.endswith(("'", '"', "`"))
        if bare and len(digits(value)) < 2 and not _jumbled(value):
            return 0
        if _OTHER.search(left) or value.startswith(("urn:", "/", "./", "arn:")) or "://" in value:
            return 0
        return 0 if _HASH.fullmatch(value) or _NAME.fullmatch(value) else 0.85

    return check


def _password(value: str, left: str) -> float:
    """A letter and something else than letters; a name or a path is none."""
    if (
        _OTHER.search(left)
        or value.lower() in _WEAK
        or _PLACEHOLDER.search(value)
        or _HASH.fullmatch(value)
    ):
        return 0
    if value.startswith(("=", ":func:", ":class:", ":meth:")):
        return 0
    if re.fullmatch(r"[A-Za-z]+(?:-[A-Za-z]+){2,}", value) and left.endswith(("'", '"')):
        return 0.7  # words in a row, as advised
    odd = re.search(r"[^A-Za-z_.\-/]", value) and re.search(r"[A-Za-z]", value)
    if (
        not (odd or _jumbled(value))
        or entropy(value) < 2.2
        or re.match(r"[/~]|\w+\(|https?:", value)
    ):
        return 0
    if re.fullmatch(r"[a-z_]+(?:\.[a-z_]+)*\d?", value) and not re.search(r"\d", value):
        return 0
    return 0.8


_CREDENTIALS = re.compile(r"://([^:@/\s]*):([^@\s]+)@")


def _url(value: str, left: str) -> float:
    """A password stands in it, and is none that documentation uses."""
    found = _CREDENTIALS.search(value)
    if found is None:
        return 0
    secret = found[2]
    same = secret == found[1]  # nosemgrep: secret-compared-by-letter
    weak = same or secret.lower() in _WEAK or _PLACEHOLDER.search(secret)
    return 0 if weak or secret.startswith(("$", "{", "%", "[")) else 0.95


def _jwt(value: str, left: str) -> float:
    """A JOSE header: JSON whose first member is one of RFC 7515's."""
    head = binascii.a2b_base64(value.translate(str.maketrans("-_", "+/"))[:20])
    return (
        0.99
        if re.match(rb'\{\s*"(?:alg|typ|kid|cty|enc|x5t|x5u|x5c|jku|jwk|zip|crit)"', head)
        else 0
    )


def _basic(value: str, left: str) -> float:
    """`name:password` in base64."""
    try:
        return 0.9 if re.fullmatch(rb"[ -~]+:[ -~]+", binascii.a2b_base64(value)) else 0
    except binascii.Error:
        return 0


_AWS_NAME = re.compile(r"(?i)secret_?access_?key[\"']?\W{1,4}$")


def _aws(value: str, left: str) -> float:
    least = 0 if _AWS_NAME.search(left) else 2
    mixed = len(digits(value)) >= least and re.search(r"[a-z].*[A-Z]|[A-Z].*[a-z]", value)
    return 0.95 if mixed and entropy(value) > 4.2 and not _PLACEHOLDER.search(value) else 0


def _key_id(value: str, left: str) -> float:
    return 0 if value.endswith("EXAMPLE") else 0.97


_OTHER_KEY = re.compile(
    r"(?i)(?:cache|primary|foreign|partition|sort|public|object|idempotency|dedup\w*|row|s3|index|"
    r"lookup|hash|map|dict|translation|i18n|registry|file|group|storage|ssh|host|answer)"
    r"[_ -]?key[\"'`]?\s*(?:=>|:=|=|:|is)\s*[\"'`]?$"
)


def _drawn(value: str, left: str) -> float:
    """Hex of 32 and more, or letters of both cases and digits in one run: nobody chose it."""
    if _OTHER_KEY.search(left[-64:]) or _HASH.fullmatch(value):
        return 0
    hexes = len(value) >= 32 and re.fullmatch(r"[0-9a-f]+", value)
    mixed = all(re.search(p, value) for p in ("[a-z]", "[A-Z]")) and len(digits(value)) > 1
    return _made(20, 3.3)(value, left) if hexes or mixed else 0


def _whole(value: str, left: str) -> int:
    """A password that stands bare, without what follows it in a URL, a list or a sentence."""
    found = re.search(r"&\w+=|[;,]\s*\w+\s*[=:]|;", value)
    return len((value[: found.start()] if found else value).rstrip(".,;:?|"))


def _strong(value: str, left: str) -> float:
    """Said of a password without `:` or `=`: with a sign that no word has, and a digit."""
    said = value if left.endswith(("'", '"')) else value[:-1]
    sign = re.search(r"[!#$%&*+?@^~]", said)
    strong = re.search(r"\d", value) and re.search(r"[A-Za-z]", value) and (sign or _jumbled(value))
    return _password(value, left) if strong else 0


def _jumbled(value: str) -> bool:
    """Letters and digits whose case changes so often that no name is made so."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", value)
    return len(value) >= 10 and len(value) < 3 * len(words)


def _settings(value: str, left: str) -> float:
    """`Server=...;Password=...`: the password is none that documentation uses."""
    found = re.search(r"(?i)(?:password|pwd)\s?=\s?([^;&]+)", value)
    secret = found[1] if found else ""
    weak = secret.lower() in _WEAK or _PLACEHOLDER.search(secret)
    return 0 if weak or secret.startswith(("$", "{", "%", "[")) else 0.95


def _secret(name: str, regex: str, check: Check = _key, **more: object) -> Pattern:
    return Pattern(kind="secret", type=name, regex=regex, check=check, **more)  # type: ignore[arg-type]


def _prefixed(name: str, prefix: str, alphabet: str, least: int, most: int = 200) -> Pattern:
    """A vendor's prefix and so many characters of an alphabet."""
    return _secret(
        name,
        rf"\b(?:{prefix})[{alphabet}]{{{least},{most}}}",
        after=f"[{alphabet}]",
        not_before="-_",
    )


_WORD = "A-Za-z0-9"
_URL = "A-Za-z0-9_-"
_SEP = (
    r"""["'`]?[\])]?\s{0,3}(?:=>|->|:=|=|:|>|は|"""
    r"""\b(?:is|was|ist|lautet|est|es|era|e|ar|er|to)\b(?: now| set to)?:?)"""
    r"\s{0,3}@?"
)
_PASS = (
    r"(?i:pass ?words?|passwd|pwd|passphrase|passcode|passwort|kennwort|contrasena|mot de passe|"
    r"senha|wachtwoord|haslo|losenord|adgangskode|salasana|heslo|jelszo|sifre|requirepass|"
    + anycase("пароль|密码|密碼|パスワード|비밀번호|كلمة المرور|סיסמה|κωδικος")
    + r"|(?:\b|_)pass|(?:\b|_)pw)"
)
_TOKEN = (
    r"(?i:(?:api|access|secret|auth|private|encryption|signing|account|service|subscription|shared|"
    r"master|session|webhook|client|app)[-_ ]?(?:key|secret|token)s?|apikey|secret|token|"
    r"credentials?|api[ -]?(?:schlussel|nyckel|nokkel|avain|sleutel|klucz|klic|anahtari)|"
    r"cle (?:d')?api|(?:clave|llave) (?:de )?(?:la )?api|chiave (?:dell'|d')?api|"
    r"chave (?:da |de )?api|klucz(?:a|em)? api|"
    + anycase("ключ api|api[ -]?ключ|api ?密钥|密钥|api ?キー|api ?키")
    + ")"
)
_BARE = r"[!#%*+./0-9:=?@A-Z\\^_a-z~-]{6,128}"
_CHOSEN = r"[!#$%&*+,./0-9:;=?@A-Z\\^_a-z|~-]{6,128}"
"""What people choose for a password."""
_ABOUT = r"(?: (?:for|of|to|on)(?: [\w.'-]{1,16}){1,5})(?: is|\s?:)\s"
_OF = (
    r"(?: (?:at|in|for|of|to|on|fur|zum|zur|des|der|vom|im|du|de|pour|di|del|della|dello|do|da|dos|"
    r"para|per|voor|van|til|till|av|dla|od)(?: [\w.'-]{1,16}){1,5}"
    r"(?: (?:is|ist|lautet|est|es|e|ar|er|to)|\s?:)\s[\"']?)"
)
"""What the password is of, in other words than `_ABOUT`: less is taken for one behind it."""
_QUOTED = r"[!#-&(-_a-~]{6,128}"
_BEGIN = r"-----BEGIN (?:[A-Z0-9]{1,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----"

_AZURE = (
    r"(?i:AccountKey|account-key|SharedAccessKey|PrimaryKey|SecondaryKey|azure\w{1,30}key|"
    r"azure\w{0,12} (?:\w{1,16} ){0,3}key(?: is)?|Ocp-Apim-Subscription-Key|subscription.?key)"
    r"[\"']?\s{0,2}(?:[=:]|\bis\b)?\s{0,2}[\"']?"
)

SECRETS = (
    _secret(
        "private_key",
        _BEGIN + r"(?:\s|\\[nr]){0,8}(?:[A-Za-z0-9+/]{16}|Proc-Typ|Version:|Comment:)",
        lambda value, left: 1,
        until=r"-----END (?:[A-Z0-9]{1,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----",
    ),
    _secret(
        "private_key",
        r"PuTTY-User-Key-File-[23]: ",
        lambda value, left: 1,
        until=r"Private-MAC: [0-9a-f]{40,64}",
    ),
    _prefixed("private_key", "AGE-SECRET-KEY-1", "A-Z0-9", 58, 58),
    _secret(
        "jwt",
        r"\beyJ[A-Za-z0-9_-]{17}",
        _jwt,
        rest=r"[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*",
    ),
    _prefixed("anthropic_key", "sk-ant-", _URL, 20),
    _prefixed("openai_key", "sk-(?:proj|svcacct|admin|None|org)-", _URL, 20),
    _prefixed("openai_key", "sk-", _WORD, 20, 64),
    _prefixed("openrouter_key", "sk-or-v1-", _WORD, 32),
    _prefixed("google_key", "AIza", _URL, 33, 40),
    _prefixed("google_key", r"ya29\.", _URL, 20, 240),
    _prefixed("google_key", "GOCSPX-", _URL, 24, 32),
    _secret("aws_key_id", r"\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ABIA)[A-Z0-9]{16}\b", _key_id),
    _secret(
        "aws_secret_key",
        r"[A-Za-z0-9/+]{40}",
        _aws,
        not_before="/+" + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        after="[A-Za-z0-9/+]",
        near=r"aws|secret.?(?:access)?.?key|(?:AKIA|ASIA)[0-9A-Z]{16}",
        reach=64,
    ),
    _prefixed("github_token", "gh[pousr]_", _WORD, 30, 100),
    _prefixed("github_token", "github_pat_", "A-Za-z0-9_", 40, 100),
    _prefixed("gitlab_token", "gl(?:pat|dt|ptt|rt|soat|agent|cbt|ft)-", _URL, 18, 64),
    _prefixed("slack_token", r"xox[abeoprs]-|xapp-\d-|xoxe\.xox[bp]-", _URL, 20),
    _secret(
        "slack_webhook", r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/]{20,100}"
    ),
    _prefixed("stripe_key", "(?:sk|rk)_(?:live|test)_", _WORD, 16),
    _prefixed("stripe_key", "whsec_", "A-Za-z0-9+/=", 24, 80),
    _prefixed("huggingface_token", "hf_|api_org_", _WORD, 24, 48),
    _prefixed("npm_token", "npm_", _WORD, 30, 48),
    _prefixed("pypi_token", "pypi-AgE[NI]", _URL, 30, 240),
    _prefixed("sendgrid_key", r"SG\.[A-Za-z0-9_-]{16,32}\.", _URL, 20, 64),
    _prefixed("twilio_key", "SK", "0-9a-f", 32, 32),
    _secret("twilio_key", r"\b[0-9a-f]{32}\b", near="twilio|auth.?token", reach=32),
    _prefixed("mailgun_key", "key-", "0-9a-z", 32, 32),
    _prefixed("mailgun_key", "[0-9a-f]{32}-[0-9a-f]{8}-", "0-9a-f", 8, 8),
    _prefixed("mailchimp_key", "[0-9a-f]{32}-us", "0-9", 1, 2),
    _prefixed("digitalocean_token", "do[opr]_v1_", "0-9a-f", 40, 64),
    _prefixed("shopify_token", "shp(?:at|ca|pa|ss)_", "0-9a-fA-F", 32, 32),
    _prefixed("square_token", "sq0(?:atp|csp|idp)-|EAAA", _URL, 22, 64),
    _prefixed("databricks_token", "dapi", "0-9a-f", 32, 32),
    _prefixed("groq_key", "gsk_", _WORD, 32, 64),
    _prefixed("xai_key", "xai-", _WORD, 40, 100),
    _prefixed("perplexity_key", "pplx-", _WORD, 32, 64),
    _prefixed("replicate_token", "r8_", _WORD, 30, 48),
    _prefixed("nvidia_key", "nvapi-", _URL, 40, 100),
    _prefixed("notion_token", "ntn_|secret_", _WORD, 40, 60),
    _prefixed("linear_key", "lin_api_", _WORD, 32, 48),
    _prefixed("atlassian_token", "ATATT3|ATCTT3", "A-Za-z0-9_=-", 40, 220),
    _prefixed("figma_token", "figd_", _URL, 30, 60),
    _prefixed("postman_key", "PMAK-", "0-9a-f-", 50, 64),
    _prefixed("docker_token", "dckr_(?:pat|oat)_", _URL, 24, 48),
    _prefixed("vault_token", r"hv[sbr]\.", _URL, 24, 200),
    _prefixed("terraform_token", r"[A-Za-z0-9]{14}\.atlasv1\.", _URL, 40, 100),
    _prefixed("grafana_token", "glsa_|glc_", "A-Za-z0-9_+/=", 32, 200),
    _prefixed("newrelic_key", "NRAK-", "A-Z0-9", 27, 27),
    _prefixed("sentry_token", "sntrys_|sntryu_", "A-Za-z0-9_+/=", 40, 240),
    _prefixed(
        "doppler_token",
        r"dp\.(?:pt|st|ct|sa|said|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?",
        _WORD,
        38,
        64,
    ),
    _prefixed("telegram_token", r"\d{8,10}:AA", _URL, 32, 34),
    _secret("telegram_token", r"\d{8,10}:AA[A-Za-z0-9_-]{32,34}", lead="/bot"),
    _prefixed("supabase_key", "sbp_(?:oauth_)?", "0-9a-f", 40, 80),
    _prefixed("supabase_key", "sb_secret_", _URL, 22, 64),
    _prefixed("rubygems_key", "rubygems_", "0-9a-f", 48, 48),
    _prefixed("mapbox_token", r"[st]k\.eyJ[A-Za-z0-9_-]{16,180}\.", _URL, 16, 64),
    _prefixed("airtable_token", r"pat[A-Za-z0-9]{14}\.", "0-9a-f", 64, 64),
    _secret(
        "fly_token",
        r"\b(?:fm1[ar]|fm2|fo1)_[A-Za-z0-9+/_-]{40}",
        not_before="-_",
        rest=r"[A-Za-z0-9+/=_-]*(?:,fm[12][ar]?_[A-Za-z0-9+/=_-]+)*",
    ),
    _prefixed("api_key", r"re_[A-Za-z0-9]{8}_", _WORD, 20, 32),
    _prefixed("api_key", "AKCp", _WORD, 60, 80),
    _prefixed("api_key", "CFPAT-", _URL, 43, 43),
    _secret("api_key", r"\b[0-9a-f]{32}\b", _drawn, near="algolia|datadog", reach=48),
    _secret(
        "basic_auth",
        r"[A-Za-z0-9+/]{8,120}={0,2}",
        _basic,
        lead=r"""["']auth["'] ?: ?["']""",
    ),
    _secret(
        "password",
        r"[!#-&(-;=?-_a-~]{6,128}",
        _password,
        lead=r"""(?i:name=["'][\w.-]{0,24}password["'] value=["']|"""
        r"""password</(?:key|name|string)>\s{0,8}<(?:value|string)>)""",
    ),
    _secret("api_key", r"[0-9a-f]{40}\b", lambda v, left: 0.85, lead="wandb login "),
    _prefixed("pulumi_token", "pul-", "0-9a-f", 40, 40),
    _secret(
        "dynatrace_token",
        r"\bdt0[a-z]\d{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}\b",
        lambda value, left: 0.98,
    ),
    _prefixed("planetscale_token", "pscale_(?:tkn|pw|oauth)_", "A-Za-z0-9_.=-", 32, 64),
    _prefixed("heroku_key", "HRKU-", _URL, 36, 66),
    _prefixed("discord_token", r"[MNO][A-Za-z0-9_-]{23,26}\.[A-Za-z0-9_-]{6}\.", _URL, 27, 40),
    _secret(
        "discord_webhook",
        r"https://(?:ptb\.|"
        r"canary\.)?discord(?:app)?\.com/api/webhooks/\d{15,20}/[A-Za-z0-9_-]{50,80}",
    ),
    _secret("azure_key", r"[A-Za-z0-9+/]{86}==|[A-Za-z0-9+/]{43}=", lead=_AZURE),
    _secret("azure_key", r"[0-9a-fA-F]{32}\b", lead=_AZURE),
    _secret(
        "azure_key", r"[A-Za-z0-9+/]{76}(?:APIM|ACDb|\+(?:ABa|AMC|ASt))[A-Za-z0-9+/]{5}[AQgw]=="
    ),
    _secret("azure_key", r"[A-Za-z0-9+/]{33}(?:AIoT|\+(?:ASb|AEh|ARm))[A-P][A-Za-z0-9+/]{5}="),
    _secret("azure_key", r"\b[A-Za-z0-9]{52}JQQJ9[9DH][A-Za-z0-9]{26}"),
    _secret(
        "azure_key",
        r"[A-Za-z0-9+/]{42}(?:\+ACR|AzSe)[A-D][A-Za-z0-9]{5}\b|[A-Za-z0-9+/_-]{44}Az(?:Fu|Ca)[A-P]"
        r"[A-Za-z0-9+/_-]{5}=",
    ),
    _prefixed("azure_key", r"[A-Za-z0-9_~.-]{3}8Q~", "A-Za-z0-9_~.-", 31, 34),
    _secret("azure_key", r"\b[A-Za-z0-9%+/]{40,80}(?:%3D|=)", lead=r"[?&;]sig="),
    _secret(
        "connection_string",
        r"(?i:\b[a-z][a-z0-9+.-]{1,20}://[!#-&(-.0-9;=?A-Z\[-~]{0,64}:[!#-&(-.0-;=?A-Z\[-~]{3,80}@"
        r"[a-z0-9_.:-]{1,80})"
        r"(?:/[A-Za-z0-9_.?=&%/-]{0,60})?",
        _url,
    ),
    _secret(
        "bearer_token",
        r"[A-Za-z0-9_.~+/=-]{16,200}",
        _made(16, 3.0),
        lead=r"(?i:\bbearer)[\"']?[ :]{1,3}[\"']?",
    ),
    _secret(
        "basic_auth",
        r"[A-Za-z0-9+/]{8,120}={0,2}",
        _basic,
        lead=r"(?i:\bbasic)[\"']?(?:: ?| )[\"']?",
    ),
    _secret(
        "connection_string",
        r"(?i:\b(?:server|data source|host|addr(?:ess)?|network address) ?=[^;\n\"']+;"
        r"(?:[^;\n\"']+;)*(?:password|pwd) ?=[^;\n\"']{3,}(?:;[^;\n\"']{3,})*;?)",
        _settings,
    ),
    _secret(
        "connection_string",
        r"(?i:\bjdbc:[a-z0-9:]{2,24}//[^\s\"'<>]{4,120}[?;&]password=[^\s\"'&;<>]{3,80})",
        _settings,
    ),
    _secret(
        "connection_string",
        r"(?i:\bhost(?:addr)?=[^\s\"';]{1,100}(?: (?:port|dbname|user|sslmode|options|"
        r"connect_timeout|application_name|sslrootcert)=[^\s\"';]{1,100}){0,5} "
        r"password=[^\s\"';]{3,80})",
        _settings,
    ),
    _secret("password", _QUOTED, _password, lead=rf"""{_PASS}[A-Za-z0-9_]{{0,16}}{_SEP}["'`]"""),
    _secret(
        "password",
        _CHOSEN,
        _password,
        lead=rf"{_PASS}[A-Za-z0-9_]{{0,16}}(?:{_SEP}|{_ABOUT})",
        trim=_whole,
        after=r"[\[({]",
    ),
    _secret(
        "password",
        _CHOSEN,
        _strong,
        lead=rf"{_PASS}[A-Za-z0-9_]{{0,16}}{_OF}",
        trim=_whole,
        after=r"[\[({]",
    ),
    _secret(
        "password",
        r"[!#$%&*+,./0-9:;?@A-Z\\^_a-z|~-]{6,64}",
        _password,
        lead=r"(?:--pass(?:word|wd|phrase)?[ =]|\bsshpass -p ?|\bredis-cli [ -~]{0,48}-a |"
        r"requirepass |\bnet user [\w.-]{1,48} |"
        r"\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[ -~]{0,64} -p|"
        r"(?:(?:^|[\s\"'])-u|--user)[ =]?[\"']?[A-Za-z0-9_.@-]{1,48}:)[\"']?",
        trim=_whole,
        after=r"[\[({]",
    ),
    _secret(
        "password",
        _CHOSEN,
        _strong,
        lead=rf"{_PASS} [\"']?|(?i:identified by |securestring )[\"']",
        trim=_whole,
        after=r"[\[({]",
    ),
    _secret(
        "api_key",
        r"(?i:[0-9a-f]{40}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b",
        lead=r"(?i:(?:api|secret|access|auth|private|client|service)[-_ ]?(?:key|token|secret)|"
        r"apikey)"
        rf"""{_SEP}["'`]?""",
    ),
    _secret(
        "api_key", _QUOTED, _made(12, 3.0), lead=rf"""{_TOKEN}[A-Za-z0-9_]{{0,16}}{_SEP}["'`]"""
    ),
    _secret(
        "api_key", _BARE, _made(12, 3.0), lead=rf"{_TOKEN}[A-Za-z0-9_]{{0,16}}(?:{_SEP}|{_ABOUT})"
    ),
    _secret(
        "api_key",
        r"[A-Za-z0-9_+/=-]{20,128}",
        _drawn,
        lead=r"""(?i:\b(?:\w{1,32}[_-])?keys?|\bauthorization["']?: ?["']?(?:token|apikey|key) )"""
        rf"""(?:{_SEP}["'`]?)?""",
    ),
)
