"""The provider's side of Oracle's chat operation.

Model, compartment and the wish for a stream are in the body; a stream is SSE. A request is
signed (`transport/oci_sign.py`).

Reference: https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/ChatResult/Chat
"""

from octoplex.dialects.oci.request import NAME, write_request
from octoplex.dialects.oci.stream import OciDecoder, decode_reply, read_whole
from octoplex.dialects.oci.verdict import judge_status
from octoplex.dialects.one_way import OneWay, Parts


class Oci(OneWay):
    """Writes requests to, and reads replies from, OCI Generative AI."""

    name = NAME
    path = "/chat"
    parts = Parts(
        write=write_request,
        read_whole=read_whole,
        decode_reply=decode_reply,
        decoder=OciDecoder,
        judge=judge_status,
    )
