"""Native URLs. `urls` has the record of the dialect."""
