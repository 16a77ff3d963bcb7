"""A command that will not go on: its one line for a person."""


class Refused(Exception):
    """Why a command cannot start; printed as it stands, without a traceback."""
