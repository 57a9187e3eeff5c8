"""Amazon Bedrock's Converse dialect, the provider's side: `BedrockConverse`."""

from octoplex.dialects.bedrock_converse.upstream import BedrockConverse

__all__ = ["BedrockConverse"]
