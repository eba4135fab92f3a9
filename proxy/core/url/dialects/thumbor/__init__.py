"""URLs of thumbor and imagor. `urls` has the record of the dialect."""
