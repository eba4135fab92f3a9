"""Other people's web servers."""
