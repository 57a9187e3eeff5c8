"""`Chat` -> the body of watsonx.ai's `POST /ml/v1/text/chat` and `/text/chat_stream`.

The body is Chat's with other names: `model_id`, a project or a space beside it (`account`
of the provider), and the tool choice in two members: a tool that is named in `tool_choice`,
every other wish in `tool_choice_option`. The path says whether it is a stream.

Images go as bytes only. What is left out because the replies of this dialect could not
bring it here: several choices, log probabilities.

Reference: https://cloud.ibm.com/apidocs/watsonx-ai#text-chat and
https://ibm.github.io/watsonx-ai-node-sdk/interfaces/1_7_x.WatsonXAI.TextChatParams.html

Not promised: that a model takes each value; IBM's models are many makers'.
"""

from collections.abc import Mapping

import msgspec

from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.effort import says_amount
from octoplex.dialects.expression import Omissions
from octoplex.dialects.openai_chat.near import effort_in
from octoplex.dialects.openai_chat.request import write_body
from octoplex.dialects.words import words_of
from octoplex.wire.chat import Chat, ThinkingAsk

NAME = "watsonx"
ACCOUNT = ("project_id", "space_id")
"""Who pays: one of them must be there."""

_QUIRKS = frozenset({"max_completion_tokens", "flat_content"})
_json = msgspec.json.Encoder().encode


def write_request(chat: Chat, traits: Traits) -> Encoded:
    """Write the request.

    Raises:
        Unsupported: a field that changes the answer cannot be expressed.
    """
    omissions = Omissions(NAME, words_of(chat), drop_unsupported=traits.drop_unsupported)
    ask, effort = chat.thinking, effort_in(chat, omissions)
    if ask is not None and effort is not None:
        ask = ThinkingAsk(enabled=True, effort=effort if says_amount(ask) else None)
    thinking = None if effort is None else ask
    chat = msgspec.structs.replace(chat, stream=False, thinking=thinking)
    written = write_body(chat, msgspec.structs.replace(traits, quirks=_QUIRKS), omissions)
    choice = written.pop("tool_choice", None)
    body = {"model_id": written.pop("model"), **payer(traits.account), **written}
    if choice is not None:
        body["tool_choice_option" if isinstance(choice, str) else "tool_choice"] = choice
    return Encoded(_json(body), omissions.names())


def payer(account: Mapping[str, str]) -> dict[str, str]:
    """The member that names the project, or else the space."""
    return next(({name: account[name]} for name in ACCOUNT if name in account), {})
