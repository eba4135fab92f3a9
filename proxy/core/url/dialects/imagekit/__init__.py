"""URLs of ImageKit. `urls` has the record of the dialect."""
