"""URLs of Cloudinary. `urls` has the record of the dialect."""
