"""Secrets that lie elsewhere: in a keyring, or with AWS, Google Cloud, Azure or Vault.

The file names them by reference and never holds one. `fetched` (`fetch.py`) asks their keepers
before a configuration is compiled; what it brings lies in memory only.
"""

from octoplex.secrets.fetch import fetched
from octoplex.secrets.reference import SCHEMES, is_reference

__all__ = ["SCHEMES", "fetched", "is_reference"]
