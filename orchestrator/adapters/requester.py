"""Who types, for the journal and for answers: by the account of the process, not by what its environment says."""

import os
import pwd


def requester() -> str:
    """The account's name; its number if it has none, as in containers. Of root, who came by sudo.

    Anybody may set LOGNAME; SUDO_USER is believed of root alone, who could be anyone without it too.
    """
    uid = os.getuid()
    if uid == 0 and (by_sudo := os.environ.get("SUDO_USER")):
        return by_sudo
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
