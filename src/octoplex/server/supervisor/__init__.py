"""Several processes on one port: the supervisor, the owner of the ledger, workers.

parent.py   starts them, starts again what crashes, reloads, drains
owner.py    the one process that writes, lends and refuses
lending.py  what it keeps of each worker, and what it lent to it
merging.py  the figures of several processes as one
in_force.py the configuration in force, for an owner that finds nobody who has it
"""
