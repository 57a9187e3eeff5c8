"""The ledger on PostgreSQL, with asyncpg (the extra `postgres`).

store.py     `PostgresStore`: the store; `open_postgres(folder, database, address)`
database.py  `Database`: where it is, out of the configuration
link.py      the connections, on a thread and loop of their own
writing.py   batches into tables; into the spool while the database cannot take them
till.py      `PostgresTill`: what several hosts have in common of their budgets and rates
common.py    `PostgresCommon`: what they tell each other, and operators' switches
queries.py   what is read: `PostgresReader` asks the same from any thread

Nothing here but `database.py` is imported unless `[server] database` is set.
"""
