"""Dead letters: list, show, edit, retry and drop, in order for each key."""
