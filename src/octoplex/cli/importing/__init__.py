"""`octoplex import`: the configuration of another gateway, carried over.

    given.py                 the foreign file, and which of its keys were read
    draft.py                 what will be written, and the notes on what will not
    endpoints.py             where a model is asked: a row of the catalogue or a copy of one
    routes.py                several targets under one name
    clouds.py                headers, signatures, projects and regions, which all of them have
    litellm.py, bifrost.py, tensorzero.py, and what stands beside them: their keys, ours
    unlike.py                why a key of theirs has no counterpart, and what to do
    written.py               the draft as TOML
    command.py               the shell

Nothing is silently dropped: every key of the foreign file is either read or named in a note.
No secret passes: what is no reference in the foreign file becomes one.
"""
