"""A company that lives: it changes the demo CRM and the demo ERP as their own applications would.

Comes in: a seed, two databases, a rate. Goes out: ordinary SQL transactions, and a journal of what was committed
and of what was planted. Promised: the same seed gives the same operations with the same values in the same order.
"""
