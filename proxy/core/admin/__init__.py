"""Commands and jobs of the operations API, as values."""
