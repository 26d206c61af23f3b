"""Exercises on the demo: what to do, how its situation is made, and whether the hub shows that it was done."""
