"""Sets that judge what the guard finds and what it leaves alone; see README.md."""
