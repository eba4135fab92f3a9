"""Calls between the processes of a node: the fronts, which answer requests, ask the back, which renders."""
