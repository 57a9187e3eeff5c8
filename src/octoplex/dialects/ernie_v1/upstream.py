"""The provider's side of ERNIE's first dialect; the path names the model.

Reference: https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Qlphtigbf
"""

from octoplex.dialects.ernie_v1.replies import read_chunk
from octoplex.dialects.ernie_v1.request import NAME, write_request
from octoplex.dialects.ernie_v1.verdict import judge_status
from octoplex.dialects.one_way import OneWay
from octoplex.dialects.openai_chat.near import near_chat
from octoplex.dialects.paths import in_path


class ErnieV1(OneWay):
    """Writes requests to, and reads replies from, Qianfan's `wenxinworkshop`."""

    name = NAME
    path = "/chat/{model}"
    model_in_body = False
    parts = near_chat(write_request, read_chunk, judge_status)

    def path_for(self, model: str, *, stream: bool) -> str:
        return f"/chat/{in_path(model)}"
