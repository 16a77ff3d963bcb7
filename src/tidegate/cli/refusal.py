"""How a command ends that will not go on: its one line for a person."""


class Refused(Exception):
    """Why a command cannot start; printed as it stands, without a traceback. Exit status 2."""


class Failed(Exception):
    """What a server said no to, or why it could not be asked. Exit status 1."""
