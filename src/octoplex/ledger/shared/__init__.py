"""Budgets that several hosts share (`docs/hosts.md`): the till, and what one host took out of it.

till.py    `Till`: what the hosts have in common, as a Protocol (`postgres/till.py`)
drawer.py  `Drawer`: what this host has taken, under its book
"""
