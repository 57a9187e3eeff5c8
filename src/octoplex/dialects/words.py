"""What callers of each face call the fields of the table in `expression.py`.

A field that cannot be expressed is refused, or dropped, by the name that its caller wrote: a member
of the request, a path of members (`generationConfig.topP`), or below a part or a block its kind and
member (`file.file_id`). What is not here has the table's own name, which is Chat's.

Where a dialect has several members for one field, `Chat.called` says which of them was sent.

Not promised: where in the conversation a part stands.
"""

from collections.abc import Mapping

from octoplex.wire.chat import Chat

Words = Mapping[str, str]

_CHAT = {
    "thinking": "reasoning_effort",
    "thinking.amount": "reasoning_effort",
    "thinking_history": "reasoning_content",
    "server_tools": "tools",
    "image.url": "image_url.url",
    "image.data": "image_url.url",
    "image.file_id": "image_url",
    "image.detail": "image_url.detail",
    "document.url": "file",
    "document.data": "file.file_data",
    "document.file_id": "file.file_id",
    "document.title": "file.filename",
    "audio.url": "input_audio",
    "audio.data": "input_audio.data",
    "audio.file_id": "input_audio",
}
_RESPONSES = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
    "thinking": "reasoning.effort",
    "thinking.amount": "reasoning.effort",
    "thinking_history": "reasoning",
    "server_tools": "tools",
    "cache_control": "prompt_cache_breakpoint",
    "image.url": "input_image.image_url",
    "image.data": "input_image.image_url",
    "image.file_id": "input_image.file_id",
    "image.detail": "input_image.detail",
    "document.url": "input_file.file_url",
    "document.data": "input_file.file_data",
    "document.file_id": "input_file.file_id",
    "document.title": "input_file.filename",
    "audio.url": "input_audio",
    "audio.data": "input_audio.data",
    "audio.file_id": "input_audio",
}
_ANTHROPIC = {
    "stop": "stop_sequences",
    "response_format": "output_config.format",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "thinking.amount": "thinking.budget_tokens",
    "thinking_history": "thinking",
    "server_tools": "tools",
    "user": "metadata.user_id",
    "image.url": "image.source.url",
    "image.data": "image.source.data",
    "image.file_id": "image.source.file_id",
    "document.url": "document.source.url",
    "document.data": "document.source.data",
    "document.file_id": "document.source.file_id",
}
_CONFIG = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "seed": "seed",
    "stop": "stopSequences",
    "n": "candidateCount",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
    "modalities": "responseModalities",
    "response_format": "responseMimeType",
    "max_tokens": "maxOutputTokens",
    "thinking": "thinkingConfig",
    "thinking.amount": "thinkingConfig",
}
_GEMINI = {
    **{field: f"generationConfig.{name}" for field, name in _CONFIG.items()},
    "messages": "contents",
    "thinking_history": "thought",
    "server_tools": "tools",
    "tool_choice": "toolConfig.functionCallingConfig",
    "service_tier": "serviceTier",
    "document.title": "displayName",
    **{
        f"{kind}.{source}": place
        for kind in ("image", "document", "audio")
        for source, place in (
            ("data", "inlineData.data"),
            ("url", "fileData.fileUri"),
            ("file_id", "fileData.fileUri"),
        )
    },
}
WORDS: Mapping[str, Words] = {
    "openai-chat": _CHAT,
    "openai-responses": _RESPONSES,
    "anthropic": _ANTHROPIC,
    "gemini": _GEMINI,
}
"""Face -> field -> its name there, where that is another."""


def words_of(chat: Chat) -> Words:
    """What its caller calls the fields of a call; one built by hand has Chat's words."""
    words = WORDS.get(chat.dialect, _CHAT)
    return {**words, **chat.called} if chat.called else words
