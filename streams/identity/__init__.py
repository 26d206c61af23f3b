"""Which aggregate does a source record live in, and which record is it the same as: batched look-ups over small
caches.
"""
