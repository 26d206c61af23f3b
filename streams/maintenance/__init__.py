"""Periodic maintenance: repeated sweeps, retries, hanging transactions, quality figures, a hub clock that was set
back.
"""
