"""The HTTP doors: thin, from one route table. No policy lives in a route."""
