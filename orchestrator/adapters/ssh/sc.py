"""What is said to sc.exe and other programs, in one line that cmd, PowerShell and a POSIX shell all hand to cmd.exe.

The login shell of a host is not known, and the line is read by it first. So the line for cmd.exe stands between double
quotes, and no character stands in it that one of the three would touch there: no `$`, backtick, backslash, quote or
`!`. Percent signs mean something to a login shell that is cmd: a variable that is not defined stays as it is there.
Only values of `[A-Za-z0-9_.-]` stand in such a line, and a program's options with `/`, `=` and `:`; any other travels
by PowerShell (see powershell.py).

Each section of what is printed begins with the nonce, and the nonce stands at its end: what stands before, or is left
out, shows.
"""

import re
from collections.abc import Sequence

from orchestrator.domain.sc_output import VERBS
from orchestrator.domain.service import Control

LINE_MOST = 8191
"""Characters that cmd.exe takes as one line."""
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")
_OPTION = re.compile(r"[A-Za-z0-9_./=:-]+")
CONFIGURED = ("queryex ?", "qc ? 8192", "enumdepend ? 64000")
"""What is asked of a service by its name: its state, its configuration, and what depends on it (so many bytes of it are
all that the SCM gives; sc.exe alone would take 1,024)."""
_LIST = "sc.exe queryex type= service state= all bufsize= 262144"


def plain(word: str) -> bool:
    """Whether *word* may stand in a line as it is."""
    return _PLAIN.fullmatch(word) is not None


def plain_program(exe: str, args: Sequence[str]) -> bool:
    """Whether a program may be called by such a line, with options too (`/PID`, `start=`), which are no shell's affair
    behind its name. Without `.exe` it could be a command of cmd itself."""
    return plain(exe) and exe.lower().endswith(".exe") and all(map(_OPTION.fullmatch, args))


def everything(nonce: str) -> str:
    """One section: all services and their states."""
    return _cmd([f"echo {nonce}", _LIST, f"echo {nonce}"])


def states(nonce: str, names: Sequence[str], configured: Sequence[str]) -> str:
    """Sections, in order: those of CONFIGURED of each of *configured*; the state of each of *names*."""
    parts: list[str] = []
    if configured:
        each = " & ".join(f"echo {nonce} & sc.exe {asked.replace('?', '%s')}" for asked in CONFIGURED)
        parts.append(f"(for %s in ({' '.join(configured)}) do ({each}))")
    if names:
        parts.append(f"(for %s in ({' '.join(names)}) do (echo {nonce} & sc.exe queryex %s))")
    return _cmd([*parts, f"echo {nonce}"])


def descriptors(nonce: str, names: Sequence[str]) -> str:
    """A section per name: its security descriptor."""
    return _cmd([f"(for %s in ({' '.join(names)}) do (echo {nonce} & sc.exe sdshow %s))", f"echo {nonce}"])


def processes(nonce: str) -> str:
    """One section: all processes. With a filter, tasklist.exe would say in words that there is none."""
    return _cmd([f"echo {nonce}", "tasklist.exe /fo csv /nh", f"echo {nonce}"])


def facts(nonce: str) -> str:
    """Sections: the computer's name, the SIDs of the account."""
    asked = ("hostname.exe", "whoami.exe /user /groups /fo csv /nh")
    return _cmd([*(f"echo {nonce} & {one}" for one in asked), f"echo {nonce}"])


def control(nonce: str, name: str, wanted: Control) -> str:
    """Prints `NONCE began`, what sc.exe says, and `NONCE ended`. sc.exe does not wait for the service to get there,
    but for it to take the control: up to 30 s."""
    return _cmd([f"echo {nonce} began", f"sc.exe {VERBS[wanted]} {name}", f"echo {nonce} ended"])


def program(nonce: str, exe: str, args: Sequence[str]) -> str:
    """Prints `NONCE began`, what the program says, and `NONCE ended CODE`: 9009 if there is no such program.

    The exit code is looked up by `call`, when the program has ended: the caret keeps it from being looked up before.
    """
    return _cmd([f"echo {nonce} began", " ".join([exe, *args]), f"call echo {nonce} ended %^errorlevel%"])


def _cmd(parts: Sequence[str]) -> str:
    return f'cmd.exe /q /d /c "{" & ".join(parts)}"'
