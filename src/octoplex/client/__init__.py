"""The Python client: the same gateway in process, or behind a URL.

    from octoplex import Octoplex

    with Octoplex() as octoplex:                       # in process: no server needed
        print(octoplex.chat("octoplex/smollm2", "Say hello.").text)

    octoplex = Octoplex(url="http://127.0.0.1:8080", api_key="oct-...")
    with octoplex.chat("main", "Count to ten.", stream=True) as stream:
        for piece in stream.text:
            print(piece, end="")

`AsyncOctoplex` is the client; `Octoplex` is a thin face over it.
"""

from octoplex.client.aio import AsyncChatStream, AsyncOctoplex
from octoplex.client.asked import Options
from octoplex.client.reply import ChatReply, ModelOffer, Receipt
from octoplex.client.sync import ChatStream, Octoplex

__all__ = [
    "AsyncChatStream",
    "AsyncOctoplex",
    "ChatReply",
    "ChatStream",
    "ModelOffer",
    "Octoplex",
    "Options",
    "Receipt",
]
