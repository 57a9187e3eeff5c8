"""The provider's side of watsonx.ai's chat.

A stream has a path of its own and ends with a chunk that holds usage and no choice; there
is no `[DONE]`. The date of the API (`?version=`) stands in the row's query.

Reference: https://cloud.ibm.com/apidocs/watsonx-ai#text-chat
"""

from octoplex.dialects.one_way import OneWay
from octoplex.dialects.openai_chat.near import near_chat
from octoplex.dialects.watsonx.replies import read_chunk
from octoplex.dialects.watsonx.request import NAME, write_request


class Watsonx(OneWay):
    """Writes requests to, and reads replies from, watsonx.ai."""

    name = NAME
    path = "/text/chat"
    parts = near_chat(write_request, read_chunk)

    def path_for(self, model: str, *, stream: bool) -> str:
        return "/text/chat_stream" if stream else self.path
