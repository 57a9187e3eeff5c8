"""Replies that are given again to who asks the same, or what means the same; never across callers.

config.py       what `[models.NAME.cache]` says
fingerprint.py  what makes two asks the same
replay.py       a reply that is kept, and how it is given again
facts.py        what two texts must have in common to mean the same
vectors.py      texts as vectors, and the nearest of many
semantic.py     who is compared with whom; whose vectors are near
flight.py       of the same asks at the same time one goes up
layer.py        `cached(inner, cache, rule_of)`: all of it as an Answerer
"""
