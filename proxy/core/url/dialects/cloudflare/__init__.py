"""URLs of Cloudflare Images. `urls` has the record of the dialect."""
