"""Faults of the process and of providers' accounts, over real sockets; and the table of all."""
