"""`python -m tidegate` and the installed command."""

from tidegate.cli.program import main

if __name__ == "__main__":
    main()
