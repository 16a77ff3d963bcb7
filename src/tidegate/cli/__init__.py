"""The `tidegate` command: one module per subcommand, and what starting a server takes.

With `app` and `config` this is the door: it may import every room, and no room imports it. A
command that cannot do its work says why in one line on standard error and exits with 2.
"""
