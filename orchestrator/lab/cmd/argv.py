"""How a Windows program finds its arguments in the text behind its name.

Source: Microsoft's C runtime, "Parsing C command-line arguments".
"""


def split(text: str) -> list[str]:
    """The arguments in *text*: blanks part them outside of quotes, backslashes escape quotes and nothing else."""
    arguments: list[str] = []
    at = 0
    while True:
        while at < len(text) and text[at] in " \t":
            at += 1
        if at == len(text):
            return arguments
        argument, at = _one(text, at)
        arguments.append(argument)


def _one(text: str, at: int) -> tuple[str, int]:
    said: list[str] = []
    quoted = False
    while at < len(text) and (quoted or text[at] not in " \t"):
        slashes = 0
        while text[at : at + 1] == "\\":
            slashes, at = slashes + 1, at + 1
        if text[at : at + 1] != '"':
            said.append("\\" * slashes)
            if slashes == 0:
                said.append(text[at])
                at += 1
            continue
        said.append("\\" * (slashes // 2))
        if slashes % 2:
            said.append('"')
        elif quoted and text[at + 1 : at + 2] == '"':  # two quotes inside quotes are one
            said.append('"')
            at += 1
        else:
            quoted = not quoted
        at += 1
    return "".join(said), at
