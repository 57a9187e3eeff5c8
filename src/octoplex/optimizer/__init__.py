"""Learn which answerer is good enough for what, and move traffic there, with a promise kept."""
