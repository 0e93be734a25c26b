"""Training the digits networks with every method, and how their masks move meanwhile."""
