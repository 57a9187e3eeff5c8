"""Who we can ask and what it costs: providers, model families and prices, as data."""
