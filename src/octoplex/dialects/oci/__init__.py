"""The dialect of Oracle's Generative AI service, the provider's side: `Oci`."""

from octoplex.dialects.oci.upstream import Oci

__all__ = ["Oci"]
