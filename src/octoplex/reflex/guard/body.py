"""The texts in a JSON body, where they stand, and the body with other texts in their places.

    glance(raw)                       every text, values only, to look through at once
    rewritten(raw, change)            `change(text)` in the place of each; all else keeps its bytes

Whole numbers of nine digits and more are texts too: a card may come as a number. A number that
is replaced becomes a string. Arguments of tool calls that are JSON in a string are looked into,
so that what takes the place of a value leaves them JSON. Names of members are texts, too:
`{"ana@acme.org": 1}`. A document that is text is looked through although it comes in base64.

Not looked at: values that only machines read (media, signatures).
"""

import json
import re
from base64 import b64decode, b64encode
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator

import msgspec

from octoplex.reflex.guard.normal import PIECE

# A string that is not closed goes to the end: else each quote in it would be tried to the end.
_CHARS = rb'"([^"\\]*(?:\\.[^"\\]*)*)(?:"|\\?\Z)'
_LITERAL = re.compile(
    _CHARS + rb"(?:\s*(:))?|(?<![0-9.eE+\-])-?([0-9]{9,30})(?:\.[0-9]+)?(?:[eE][+\-]?[0-9]+)?", re.S
)
_STRING = re.compile(_CHARS + rb"(\s*:)?", re.S)
_NUMBER, _DIGITS = re.compile(rb"[0-9]{9,30}"), re.compile(rb"[0-9]*")
"""More than the numbers that are texts: what stands before costs three times as much to look at."""
SEPARATOR = b"\n\x1e\n"
"""Between texts that are looked through together: no pattern reaches over it."""
_OPAQUE = re.compile(rb"[A-Za-z0-9+/=_\-]{256,}\Z|data:[\w/+.\-]{0,80};base64,[A-Za-z0-9+/=_\-]*\Z")
SEALED = frozenset(
    {b"data", b"url", b"file_data", b"image_url", b"signature", b"encrypted_content"}
    | {b"thoughtSignature", b"thought_signature", b"bytes", b"b64_json", b"embedding"}
)
"""Members whose value is passed over when it looks like base64."""
DOCUMENTS = frozenset({b"data", b"url", b"file_data", b"image_url"})
"""Those that are looked through when it is base64 of a text."""
_DATA_URL = re.compile(rb"data:[\w/\\+.=;\-]{0,120};base64,")
SNIFFED = 64
"""Characters of base64 by which a document that is text is told from media."""
_STANDARD = bytes.maketrans(b"-_", b"+/")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]").search
IDS = frozenset(
    {b"id", b"tool_use_id", b"tool_call_id", b"call_id", b"item_id", b"response_id"}
    | {b"previous_response_id", b"file_id", b"responseId", b"system_fingerprint"}
)
_ID = re.compile(
    rb"(call|toolu|srvtoolu|msg|resp|chatcmpl|cmpl|fc|rs|item|file|batch|gen|req|fp)[_-][\w\-]*\Z"
)
"""Members that hold ids, and the ids of vendors, which must stay what they are."""
CLOCKS = frozenset({b"created", b"created_at", b"completed_at", b"expires_at", b"seed"})
"""Members whose number is no text."""
_BUSY = re.compile(
    rb'"(?:(?:%b)"\s*:\s*[0-9]+|(?:%b)"\s*:\s*"%b")'
    % (
        b"|".join(sorted(CLOCKS, reverse=True)),
        b"|".join(sorted(IDS, reverse=True)),
        _ID.pattern.removesuffix(rb"\Z"),
    )
)
"""What clocks and ids say."""
_DAY = re.compile(rb'"model"\s*:\s*"[a-z][a-z0-9.-]{1,40}(-20[0-9]{2}-?[0-9]{2}-?[0-9]{2})"')
_COUNT = re.compile(rb'"[a-z_]{0,32}tokens(?:"\s*:\s*[0-9]{1,6}(?![0-9.eE])|_details"\s*:\s*\{)')
MUTE = frozenset(
    {b"", b"text", b"content", b"input", b"output", b"prompt", b"instructions", b"thinking"}
)
"""Names that say nothing of a value: "text" would announce a telephone number."""
ORDINARY = (
    MUTE | SEALED | IDS | CLOCKS | frozenset(
        b"role type name object model choices index message parts candidates finish_reason "
        b"stop_reason logprobs refusal annotations usage tool_calls tool_use function arguments "
        b"description parameters properties required messages contents source media_type status "
        b"cache_control summary args response response_format strict schema items enum "
        b"service_tier prompt_tokens completion_tokens total_tokens input_tokens output_tokens "
        b"prompt_tokens_details completion_tokens_details input_tokens_details "
        b"output_tokens_details cached_tokens reasoning_tokens audio_tokens "
        b"accepted_prediction_tokens rejected_prediction_tokens cache_creation_input_tokens "
        b"cache_read_input_tokens finishReason usageMetadata promptTokenCount "
        b"candidatesTokenCount totalTokenCount thoughtsTokenCount modelVersion functionCall "
        b"functionResponse thought temperature max_tokens stream".split()
    )
)  # fmt: skip
"""Names of members that vendors gave, so that no text is in them."""
SHORT = 8_192
"""Bytes. In longer bodies there may be media, which cost more to search than to pass over."""
PART = b"text"
"""The member of a part that holds its text, in every dialect."""
NESTED = frozenset({b"arguments", b"partial_json"})
"""Members whose value is JSON in a string."""
Change = Callable[[str, str], str]
_encode = msgspec.json.Encoder().encode


def glance(raw: bytes, name: bytes = b"") -> bytes:
    """Every text of a body behind another, each with the name of its member before it; then names.

    It shows whether there is anything to find at all. `name` is the member that the body is.

    One call of the expression for all strings: a third of what `rewritten` costs.
    """
    found = _numbers(timeless(raw))
    run: list[bytes] = []
    names: set[bytes] = set()
    for literal, colon in _STRING.findall(raw):
        if colon:
            name = _name(literal)
            names.add(name)
            continue
        document = _document(name, literal)
        if document is not None:
            found.append(document[1].encode())
        if not _sealed(name, literal):
            text = _unescaped(name, literal) if b"\\" in literal else literal
            found.append(text if name in MUTE else b"%b: %b" % (name, text))
            if name == PART:
                run.append(text)
            elif name != b"type":
                _close(run, found)
        name = b""
    _close(run, found)
    return SEPARATOR.join((*found, *(names - ORDINARY)))


def _numbers(raw: bytes) -> list[bytes]:
    """The long numbers of a body, looked for in parts: see `normal.pieces`."""
    found: list[bytes] = []
    at = 0
    while at < len(raw):
        rest = _DIGITS.match(raw, at + PIECE)  # none is cut in two
        end = rest.end() if rest else len(raw)
        found += _NUMBER.findall(raw, at, end)
        at = end
    return found


def timeless(raw: bytes) -> bytes:
    """A body without what is no text though it looks like it.

    Clocks and the day of a model look like telephone numbers, ids of vendors like something
    encoded; counts of tokens have names of keys.
    """
    at = raw.find(b'"model"')
    day = _DAY.match(raw, at) if at >= 0 else None
    if day:
        raw = raw[: day.start(1)] + raw[day.end(1) :]
    at = raw.rfind(b'"usage"')
    if at >= 0:
        raw = raw[:at] + _COUNT.sub(b'""', raw[at:])
    return _BUSY.sub(b'""', raw)


def is_plain(raw: bytes) -> bool:
    """Whether every text in short JSON stands there as it is, and none goes on in another part.

    What is searched for in all of its bytes then is searched for in its texts: a third of the
    cost of `glance`.
    """
    if len(raw) > SHORT:
        return False
    parts = raw.count(b'"text"') - raw.count(b':"text"') - raw.count(b': "text"')
    return parts < 2


def _close(run: list[bytes], found: list[bytes]) -> None:
    """Parts of text behind each other are looked at as one, too."""
    if len(run) > 1:
        found.append(b"".join(run))
    run.clear()


def _unescaped(name: bytes, literal: bytes) -> bytes:
    text = _text(b'"%b"' % literal)
    inner = _inner(name, text)
    return text.encode("utf-8", "surrogatepass") if inner is None else glance(inner)


def rewritten(raw: bytes, change: Change, name: bytes = b"") -> bytes:
    """The body with every text changed; the same object when none was.

    `change` is given a text and the name of its member, "" in a list and for names themselves.
    """
    pieces: list[bytes] = []
    at = 0
    for match, member in _literals(raw, name, names=True):
        text = _decoded(raw, match)
        inner = _inner(member, text)
        document = _document(member, match[1])
        new = text if document is None else _rewritten(document, text, change)
        if inner is not None:
            new = rewritten(inner, change).decode("utf-8", "surrogatepass")
        elif new == text and not _sealed(member, match[1] or b""):
            new = change(text, member.decode("utf-8", "replace"))
        if new != text:
            pieces += (raw[at : match.start()], _encoded(new))
            at = match.end() if match[2] is None else match.end(1) + 1  # the colon stays
    return b"".join((*pieces, raw[at:])) if pieces else raw


def rejoined(raw: bytes, change: Callable[[list[str]], list[str]]) -> bytes:
    """The body with parts of text that stand directly behind each other changed together."""
    pieces: list[bytes] = []
    at = 0
    for run in _runs(raw):
        texts = [_decoded(raw, match) for match in run]
        for match, old, new in zip(run, texts, change(texts), strict=True):
            if new != old:
                pieces += (raw[at : match.start()], _encoded(new))
                at = match.end()
    return b"".join((*pieces, raw[at:])) if pieces else raw


def _runs(raw: bytes) -> Iterator[list[re.Match[bytes]]]:
    """The texts of two and more parts between which there is no other value than their type."""
    run: list[re.Match[bytes]] = []
    for match, name in _literals(raw, b""):
        if name == PART:
            run.append(match)
        elif name != b"type":
            if len(run) > 1:
                yield run
            run = []
    if len(run) > 1:
        yield run


def _inner(name: bytes, text: str) -> bytes | None:
    """The JSON that a text holds, where it is of the kind that does."""
    if name not in NESTED or text.lstrip()[:1] not in ("{", "["):
        return None
    raw = text.encode("utf-8", "surrogatepass")
    try:
        json.loads(text)
    except (ValueError, RecursionError):  # a text like any other
        return None
    return raw


def _document(member: bytes, literal: bytes | None) -> tuple[str, str] | None:
    """What stands before the base64 of a document, and its text; None: it is none, or no text."""
    if member not in DOCUMENTS or literal is None:
        return None
    head = _DATA_URL.match(literal)
    at = head.end() if head else 0
    if not is_text(_bytes(_plain(literal[at : at + 2 * SNIFFED])[:SNIFFED])):
        return None
    try:
        return _plain(literal[:at]).decode(), _bytes(_plain(literal[at:])).decode()
    except UnicodeDecodeError:
        return None


def _plain(literal: bytes) -> bytes:
    return literal.replace(b"\\/", b"/")


def _bytes(code: bytes) -> bytes:
    """What base64 of either alphabet says; nothing where it is none."""
    code = code.translate(_STANDARD).rstrip(b"=")
    try:
        return b64decode(code + b"=" * (-len(code) % 4), validate=True)
    except ValueError:
        return b""


def is_text(begun: bytes) -> bool:
    """Whether bytes begin like a text; at their end a letter may be cut."""
    try:
        return bool(getincrementaldecoder("utf-8")().decode(begun)) and not _CONTROL(begun)
    except UnicodeDecodeError:
        return False


def _rewritten(document: tuple[str, str], text: str, change: Change) -> str:
    """A document in base64 with another text, where that changed; as it came otherwise."""
    head, said = document
    new = change(said, "")
    return text if new == said else head + b64encode(new.encode()).decode()


def _literals(
    raw: bytes, name: bytes, *, names: bool = False
) -> Iterator[tuple[re.Match[bytes], bytes]]:
    """The values that are text, each with the name of the member it is, "" within a list; and
    `names` themselves.
    """
    name_ends = 0
    for match in _LITERAL.finditer(raw):
        literal, colon, number = match.groups()
        if colon is not None:
            name, name_ends = _name(literal), match.end()
            if names and name not in ORDINARY:
                yield match, b""
            continue
        start = match.start()
        direct = start == name_ends or (name_ends >= 0 and raw[name_ends:start].isspace())
        member, name_ends = (name if direct else b""), -1
        if number is not None:
            if member not in CLOCKS:
                yield match, member
        elif _document(member, literal) is not None or not _sealed(member, literal):
            yield match, member


def _name(literal: bytes) -> bytes:
    if b"\\" not in literal:
        return literal
    return _text(b'"%b"' % literal).encode("utf-8", "surrogatepass")


def _sealed(member: bytes, literal: bytes) -> bool:
    """Whether only machines read the value of a member."""
    kind = _OPAQUE if member in SEALED else _ID if member in IDS else None
    return kind is not None and kind.match(literal) is not None


def _decoded(raw: bytes, match: re.Match[bytes]) -> str:
    literal: bytes | None = match[1]
    if literal is None:
        return match[3].decode()
    if b"\\" not in literal:
        return literal.decode("utf-8", "replace")
    return _text(b'"%b"' % literal)


def _text(quoted: bytes) -> str:
    """What a JSON string says."""
    text = quoted.decode("utf-8", "replace")
    try:
        return str(json.loads(text, strict=False))
    except ValueError:  # no JSON: whoever is asked will say so
        return text[1:-1]


def _encoded(text: str) -> bytes:
    try:
        return _encode(text)
    except UnicodeEncodeError:  # half a surrogate pair
        return json.dumps(text).encode()
