"""The only reader of the environment and of TOML files: settings, validated as a whole before anything starts."""
