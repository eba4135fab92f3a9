"""`python -m proxy` is the `calotype` command."""

from proxy.cli.commands import main

if __name__ == "__main__":
    main()
