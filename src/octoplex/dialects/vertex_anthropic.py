"""The provider's side of Claude on Google Cloud ("Google managed").

The model and the wish for a stream are in the path; `stream` stands in the body as well.
Betas go in Anthropic's own header. Tokens are counted at a path of its own, which knows
none of them.

Reference:
https://platform.claude.com/docs/en/build-with-claude/claude-models-on-google-cloud/google-managed,
https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude and
https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/count-tokens
"""

from collections.abc import Mapping

from octoplex.dialects.anthropic.cloud import Cloud
from octoplex.dialects.anthropic.verdict import judge_status
from octoplex.dialects.gemini.verdict import judge_status as judge_google
from octoplex.dialects.gemini.verdict import read_problem
from octoplex.dialects.paths import in_path
from octoplex.wire.error import UpstreamError

__all__ = ["VertexAnthropic"]


class VertexAnthropic(Cloud):
    """Writes requests to, and reads replies from, Claude on Google Cloud."""

    name = "vertex-anthropic"
    path = "/models/{model}:rawPredict"
    count_path = "/models/count-tokens:rawPredict"
    version = "vertex-2023-10-16"
    betas = frozenset(
        {
            "compact-2026-01-12",
            "computer-use-2025-01-24",
            "computer-use-2025-11-24",
            "context-1m-2025-08-07",
            "context-management-2025-06-27",
            "interleaved-thinking-2025-05-14",
            "tool-search-tool-2025-10-19",
            "web-search-2025-03-05",
        }
    )

    def path_for(self, model: str, *, stream: bool) -> str:
        verb = "streamRawPredict" if stream else "rawPredict"
        return f"/models/{in_path(model, '@')}:{verb}"

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """Anthropic's envelope, or Google's own where the request did not reach the model."""
        problem = read_problem(body)
        judge = judge_google if problem is not None and problem.status else judge_status
        return judge(status, headers, body, self._now())
