"""An error as PowerShell reports it, whatever carries it to the client: data, the wire's text is made from it."""

from dataclasses import dataclass

SYSTEM_BASES = ("System.SystemException", "System.Exception", "System.Object")


@dataclass(frozen=True, slots=True)
class Cause:
    """An exception within another: its .NET type, its text, and Windows' error number if it has one."""

    exception: str
    text: str
    code: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """An error record. `exception` is the .NET type with its `bases`, `causes` its InnerExceptions from the outside
    in; `category` is PowerShell's number and name."""

    text: str
    id: str
    exception: str
    category: tuple[int, str]
    activity: str = ""
    target: str = ""
    target_type: str = ""
    causes: tuple[Cause, ...] = ()
    bases: tuple[str, ...] = SYSTEM_BASES
