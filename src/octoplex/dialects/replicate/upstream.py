"""The provider's side of Replicate: a chat is a *prediction* of a language model.

The model is in the path. A prediction may take longer than its request: then it is looked at
again, and its events are at an address of their own. Who goes there is
`upstreams/prediction.py`; this reads what comes back.

Reference: https://replicate.com/docs/reference/http and
https://replicate.com/docs/topics/predictions/streaming
"""

from octoplex.dialects.one_way import OneWay, Parts
from octoplex.dialects.paths import in_path
from octoplex.dialects.replicate.request import NAME, VERSIONED, write_request
from octoplex.dialects.replicate.stream import PredictionDecoder
from octoplex.dialects.replicate.verdict import judge_status
from octoplex.dialects.replicate.whole import decode_reply, read_whole


class Replicate(OneWay):
    """Writes requests to, and reads predictions from, Replicate."""

    name = NAME
    path = "/models/{model}/predictions"
    model_in_body = False
    parts = Parts(
        write=write_request,
        read_whole=read_whole,
        decode_reply=decode_reply,
        decoder=PredictionDecoder,
        judge=judge_status,
    )

    def path_for(self, model: str, *, stream: bool) -> str:
        """The path with the model, `owner/name`, in it; a version is named in the body."""
        quoted = in_path(model, safe="/")
        return "/predictions" if VERSIONED in model else self.path.format(model=quoted)
