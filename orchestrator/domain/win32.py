"""Windows' error numbers about services, in words. Numbers are never localised; the host's texts are.

Source: System Error Codes (winerror.h) of the Win32 API.
"""

_WORDS = {
    2: "the service's program file was not found",
    5: "access denied: this account may not do that to the service",
    1051: "other running services on the host depend on it",
    1052: "the service does not accept this control in its state",
    1053: "the service did not answer the start or control request in time",
    1055: "the host's service database is locked",
    1056: "it is running already",
    1058: "it is disabled, or a device that it needs is",
    1060: "there is no such service on the host",
    1061: "the service can't take controls at this moment",
    1062: "it has not been started",
    1066: "the service ended with an error code of its own",
    1067: "the service's process ended unexpectedly",
    1068: "a service that it depends on failed to start",
    1069: "the service's account could not log on: wrong password, or no right to log on as a service",
    1070: "the service hung while it was starting",
    1072: "it is marked for deletion",
    1077: "it has not been started since the host booted",
}


def in_words(code: int) -> str:
    """What *code* means, with its number: `access denied: ... (error 5)`; an unknown code is just its number."""
    words = _WORDS.get(code)
    return f"{words} (error {code})" if words else f"Windows error {code}"
