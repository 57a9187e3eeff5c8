"""Quirks: how a provider's openai-chat differs from the plainest form of it, by name.

Unless a quirk says otherwise the encoder writes `max_tokens`, a `system` message,
`reasoning_effort` for thinking and `stream_options` for usage: what the most servers
understand, and so what an unlisted server is sent. Each name is one deviation. A row of
the catalogue names them, `quirks` in `octoplex.toml` adds some, a model's family too
(`families.quirks_for`). They matter for requests that are written anew, and for their
replies; of a request that passes verbatim for the members that they are about
(`openai_chat/mending.py`). Of the ways to ask for thinking a row names one at most.

A name not listed here is an error where the row is read. Not promised: that one
provider's models all behave alike (a row holds what is true for all of them), nor that
the list is complete: a provider's 400 is where the next one comes from.
"""

from typing import Literal, get_args

Quirk = Literal[
    # limits
    "max_completion_tokens",  # the output limit goes by this name; `max_tokens` is old or refused
    "many_stops",  # takes more than four stop sequences
    # messages
    "developer_role",  # knows the `developer` role; elsewhere such turns go as `system`
    "flat_content",  # a message's content must be one string where it holds only text
    "cache_control",  # takes Anthropic's `cache_control` on parts
    "no_media_urls",  # media must come as bytes: nothing is fetched there, on any of its dialects
    # streams
    "no_stream_options",  # `stream_options` is refused; usage comes unasked or never
    # thinking: how it is asked for, and what is wanted back
    "thinking_object",  # `thinking: {type: enabled | disabled}` beside `reasoning_effort`
    "thinking_adaptive",  # `thinking: {type: adaptive | disabled}`
    "reasoning_object",  # `reasoning: {effort | max_tokens | enabled}`
    "reasoning_switch",  # `reasoning: {enabled}` beside `reasoning_effort`
    "enable_thinking",  # `enable_thinking` and `thinking_budget`
    "thinking_template",  # `chat_template_kwargs: {enable_thinking, thinking}`
    "thinking_by_model",  # another model id thinks: deepseek-reasoner, deepseek-chat
    "no_thinking_field",  # thinking cannot be asked for at all
    "reasoning_split",  # `reasoning_split: true`, or thinking comes as <think> in the text
    "think_tags",  # a reply may begin with its thinking in <think>...</think>
    "think_unopened",  # it may lack the opening tag, because the template has it
    "echo_reasoning",  # reads `reasoning_content` of earlier turns again
    "echo_tool_reasoning",  # demands it once tools were called: without it thinking is a 400
    "echo_reasoning_details",  # `reasoning_details` of earlier turns, signatures and all
    # tools
    "short_tool_ids",  # tool-call ids are exactly nine letters or digits
    "required_is_any",  # tool_choice "required" is spelt "any"
    "no_forced_tool_choice",  # tool_choice "required" or a named tool is refused
    "no_parallel_tool_calls",  # `parallel_tool_calls` is refused
    # the rest
    "refuses_unknown",  # a member that it does not know is a 400 or a 422
    "compacts",  # has OpenAI's own path that compacts a Responses conversation
    "counts_input",  # has OpenAI's own path that counts the tokens of a Responses request
    "no_json_schema",  # cannot hold a reply to a schema; `response_format` knows `json_object`
    "no_response_format",  # nor to JSON
    "no_format_beside_tools",  # nor to either where tools are offered
    "top_k",  # takes `top_k`
    "openai_hints",  # takes `verbosity`, `safety_identifier` and `prompt_cache_*`
    "random_seed",  # `seed` is called `random_seed`
]

Parameter = Literal[
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "stop",
    "n",
    "user",
    "service_tier",
    "verbosity",
    "safety_identifier",
    "prompt_cache_retention",
]
"""What a provider or a family may refuse, by its name in the Chat dialect (`refuses`)."""
QUIRKS: frozenset[str] = frozenset(get_args(Quirk))
