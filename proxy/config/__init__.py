"""The only reader of the environment and of TOML files: settings, checked as a whole before anything starts."""
