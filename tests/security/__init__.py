"""The cases that a gateway is attacked by. What each shows: `cases.toml`."""
