"""The way from the processes that answer to the one that produces, and back."""
