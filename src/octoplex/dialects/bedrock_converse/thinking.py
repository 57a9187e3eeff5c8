"""How much to think, as each maker's models behind Converse are asked.

Claude takes the very fields of Anthropic's own API, so `anthropic/thinking.py` decides.
Nova 2 at "high" takes no sampling and no output limit beside it. Thinking is a hint:
where the model would refuse it, it is dropped and named.

Reference: https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html
and https://docs.aws.amazon.com/nova/latest/nova2-userguide/using-converse-api.html
"""

from octoplex.dialects.anthropic.families import Family
from octoplex.dialects.anthropic.thinking import write_thinking
from octoplex.dialects.bedrock_converse.models import Model
from octoplex.dialects.effort import effort_of, is_off
from octoplex.dialects.expression import Omissions
from octoplex.wire.chat import Chat, Effort, ThinkingAsk

Body = dict[str, object]

_EFFORTS: dict[Effort, str] = {"minimal": "low", "low": "low", "medium": "medium"}


def thinking_fields(
    chat: Chat, model: Model, family: Family, max_tokens: int, omissions: Omissions
) -> Body:
    """The members of `additionalModelRequestFields`; empty where nothing is asked."""
    ask = chat.thinking
    if ask is None:
        return {}
    if model.maker == "claude":
        wanted = write_thinking(chat, family, max_tokens, omissions)
        fields: Body = {} if wanted.thinking is None else {"thinking": wanted.thinking}
        return fields | ({"output_config": {"effort": wanted.effort}} if wanted.effort else {})
    off = is_off(ask)
    if model.maker == "nova-2" and off:
        return {"reasoningConfig": {"type": "disabled"}}
    if model.maker == "nova-2" and not (_effort(ask) == "high" and _limits(chat)):
        return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": _effort(ask)}}
    if model.maker == "gpt-oss" and not off:
        return {"reasoning_effort": _effort(ask)}
    if not off or model.maker == "gpt-oss":  # gpt-oss always thinks
        omissions.leave_out("thinking")
    return {}


def _effort(ask: ThinkingAsk) -> str:
    if ask.effort is None and ask.budget_tokens is not None:
        return effort_of(ask.budget_tokens)
    return _EFFORTS.get(ask.effort or "medium", "high")


def _limits(chat: Chat) -> bool:
    """Whether a field is there that Nova 2 refuses beside its highest effort."""
    return (chat.max_tokens, chat.temperature, chat.top_p, chat.top_k) != (None,) * 4
