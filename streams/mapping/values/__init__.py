"""From a value as a source sends it to a value of a canonical type: numbers, texts, times.

Each function returns exactly the same value in its canonical form, or raises `BadValue`. Nothing is cut or rounded in
silence.
"""
