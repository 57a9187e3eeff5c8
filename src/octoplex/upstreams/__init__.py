"""A target: a provider's row, a dialect and a connection, asked and paid for."""
