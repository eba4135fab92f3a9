"""Worker processes and the pixel steps they run."""
