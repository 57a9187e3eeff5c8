"""The provider's side of Sber's GigaChat.

Errors are `{"status", "message"}`, which is one of the envelopes that Chat's verdict reads.

Reference: https://developers.sber.ru/docs/ru/gigachat/api/reference/rest/post-chat
"""

from octoplex.dialects.gigachat.replies import read_chunk
from octoplex.dialects.gigachat.request import NAME, write_request
from octoplex.dialects.one_way import OneWay
from octoplex.dialects.openai_chat.near import near_chat


class GigaChat(OneWay):
    """Writes requests to, and reads replies from, GigaChat."""

    name = NAME
    path = "/chat/completions"
    parts = near_chat(write_request, read_chunk)
