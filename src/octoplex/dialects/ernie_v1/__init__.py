"""ERNIE's first chat dialect at Baidu Qianfan, the provider's side: `ErnieV1`."""

from octoplex.dialects.ernie_v1.upstream import ErnieV1

__all__ = ["ErnieV1"]
