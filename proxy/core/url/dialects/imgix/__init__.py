"""URLs of imgix. `urls` has the record of the dialect."""
