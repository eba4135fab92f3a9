"""What operators ask, off the path of a request."""
