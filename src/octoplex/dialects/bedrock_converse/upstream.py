"""The provider's side of Converse.

The model and the wish for a stream are in the path; bodies are JSON, streams are AWS event
frames (`transport/aws_frames.py` cuts them). A request is signed (`transport/sigv4.py`) or
carries a bearer key.

Reference: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from octoplex.dialects.bedrock_converse.request import NAME, write_request
from octoplex.dialects.bedrock_converse.stream import ConverseDecoder
from octoplex.dialects.bedrock_converse.verdict import judge_status
from octoplex.dialects.bedrock_converse.whole import decode_reply, read_whole
from octoplex.dialects.one_way import OneWay, Parts
from octoplex.dialects.paths import in_path


class BedrockConverse(OneWay):
    """Writes requests to, and reads replies from, Amazon Bedrock."""

    name = NAME
    path = "/model"
    model_in_body = False
    parts = Parts(
        write=write_request,
        read_whole=read_whole,
        decode_reply=decode_reply,
        decoder=ConverseDecoder,
        judge=judge_status,
    )

    def path_for(self, model: str, *, stream: bool) -> str:
        """The path with the model's id or ARN in it, whose `:` and `/` are quoted."""
        operation = "converse-stream" if stream else "converse"
        return f"{self.path}/{in_path(model)}/{operation}"
