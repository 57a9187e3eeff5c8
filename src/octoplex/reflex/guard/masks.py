"""What stands in the place of a finding.

    vault = Vault()                          one per ask
    mask("token", finding, "ana@acme.io", vault)     -> "[EMAIL_1]"
    vault.restored("write to [EMAIL_1]")             -> "write to ana@acme.io"

The same text gets the same token within an ask, in the order of first occurrence: the next turn
of a conversation, whose history holds the original again, reads the same to the provider and
its prompt cache. A vault lives as long as its ask and is never written down.
"""

import json
import re
from collections.abc import Callable

from octoplex.reflex.guard.config import Action
from octoplex.reflex.guard.finding import Finding

Hash = Callable[[bytes], bytes]
LONGEST_TOKEN = 48
SHOWN = 4
_TOKEN = re.compile(r"\[[A-Za-z]\w{0,31}_[0-9]{1,9}\]", re.A)
"""In any case: models that tidy up a text write `[Email_1]`."""
_BEGUN = re.compile(r"\[(?:[A-Za-z]\w{0,46})?\Z", re.A)
_JSON = re.compile(r'\s*(?:\{\s*"|\[\s*[{"])')


class Vault:
    """The tokens of one ask."""

    __slots__ = ("_counts", "_originals", "_tokens")

    def __init__(self) -> None:
        self._tokens: dict[tuple[str, str], str] = {}
        self._originals: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._originals)

    def token(self, type_: str, text: str) -> str:
        """The token that stands for a text."""
        found = self._tokens.get((type_, text))
        if found is None:
            count = self._counts[type_] = self._counts.get(type_, 0) + 1
            found = f"[{type_.upper()[:32]}_{count}]"
            self._tokens[(type_, text)] = found
            self._originals[found] = text
        return found

    def restored(self, text: str, *, is_json: bool | None = None) -> str:
        """The text with the originals in the place of the tokens of this ask.

        In JSON they are written as strings are: `is_json` says whether a piece is of such a text.
        """
        if "[" not in text:
            return text
        is_json = begins_json(text) if is_json is None else is_json

        def original(match: re.Match[str]) -> str:
            said = self._originals.get(match[0].upper())
            if said is None:
                return match[0]
            return json.dumps(said, ensure_ascii=False)[1:-1] if is_json else said

        return _TOKEN.sub(original, text)


def begins_json(text: str) -> bool:
    """Whether a text begins as an object of JSON does, or a list of objects or strings."""
    return _JSON.match(text) is not None


def token_begins(text: str) -> int:
    """Where the end of the text may be the beginning of a token; its length when nowhere."""
    match = _BEGUN.search(text, max(0, len(text) - LONGEST_TOKEN))
    return match.start() if match else len(text)


def mask(action: Action, finding: Finding, text: str, vault: Vault, keyed: Hash) -> str:
    """What takes the place of `text`, which a finding covers."""
    tag = finding.type.upper()
    match action:
        case "token":
            return vault.token(finding.type, text)
        case "hash":
            return f"[{tag}:{keyed(text.encode('utf-8', 'surrogatepass')).hex()[:16]}]"
        case "partial":
            return partial(finding, text)
    return f"[{tag}]"


def partial(finding: Finding, text: str) -> str:
    """The text with stars for all but its end; of an address, all but its domain.

    A secret shows nothing, and neither does what is too short to hide.
    """
    if finding.kind == "secret" or len(text) < 3 * SHOWN:
        return "*" * min(len(text), 8)
    if finding.type == "email":
        name, _, domain = text.rpartition("@")
        return f"{name[:1]}***@{domain}"
    hidden, shown = text[:-SHOWN], text[-SHOWN:]
    return "".join("*" if char.isalnum() else char for char in hidden) + shown
