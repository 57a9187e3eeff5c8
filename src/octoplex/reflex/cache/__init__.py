"""Replies that are given again to whoever asks the same: exact, and never across callers.

config.py       what `[models.NAME.cache]` says
fingerprint.py  what makes two asks the same
replay.py       a reply that is kept, and how it is given again
flight.py       of the same asks at the same time one goes up
layer.py        `cached(inner, cache, rule_of)`: all of it as an Answerer
"""
