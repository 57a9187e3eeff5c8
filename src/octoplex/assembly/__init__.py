"""From one file of configuration to routes, keys and prices that can be asked."""
