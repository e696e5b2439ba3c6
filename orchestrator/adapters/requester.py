"""Who types, for the journal."""

import getpass
import os


def requester() -> str:
    """The user's name; the number of one that has no name, as containers have them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
