"""The ledger from another process: its owner writes and lends, workers ask (`docs/workers.md`).

messages.py  what they say to each other
wire.py      frames of messages over a Unix socket
store.py     `RemoteStore`: the ledger as a worker sees it
book.py      `LentBook`: budgets as a worker sees them
"""
