"""URLs of imgproxy. `urls` has the record of the dialect."""
