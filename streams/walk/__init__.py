"""The two steps of the walk, each a function from a batch to what it gives rise to. Rooms meet here and in the agents."""
