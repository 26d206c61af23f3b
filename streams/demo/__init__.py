"""The main job as a show: the whole stack, two live databases, a simulated company, and a verdict at the end."""
