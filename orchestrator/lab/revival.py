"""What starts a service without anybody asking: recovery actions when it died, and triggers.

Source: SERVICE_FAILURE_ACTIONS in Microsoft's documentation: the Nth failure since the system booted, or since the last
one so long ago, does the Nth action, and those beyond the last do the last.
"""

from collections.abc import Callable

from orchestrator.lab.service import Clock, Service

Tell = Callable[[Service, str, tuple[object, ...]], None]
"""Told of what Windows would write into its event log: a service, what happened, and what belongs to it."""


class Revival:
    """*start* starts a service and says why; it may find that it can't. *reboot* restarts the host."""

    def __init__(
        self, clock: Clock, start: Callable[[Service, str], None], reboot: Callable[[], None], tell: Tell
    ) -> None:
        self._clock = clock
        self._start = start
        self._reboot = reboot
        self._tell = tell

    def died(self, service: Service) -> None:
        """Its process ended, and it had not stopped. What is asked for now happens after its delay, whatever becomes of
        the settings until then: only a service that is disabled or runs by then is left alone."""
        service.failures += 1
        actions = service.recovery.actions
        what, delay_ms = actions[min(service.failures, len(actions)) - 1] if actions else ("", 0)
        self._tell(service, "died", (service.failures, what, delay_ms))
        if service.recovery.reset_s:
            forget = self._clock.call_later(service.recovery.reset_s, self._forget, service)
            service.revivals.append(forget)
        if what == "restart":
            again = self._clock.call_later(delay_ms / 1000, self._start, service, "recovery action")
            service.revivals.append(again)
        elif what == "reboot":
            service.revivals.append(self._clock.call_later(delay_ms / 1000, self._reboot))

    def stopped(self, service: Service) -> None:
        """It is Stopped. The fault `triggered` fires its start trigger later, if it still has one then."""
        if "triggered" in service.faults:
            after_s = float(service.faults["triggered"])
            service.revivals.append(self._clock.call_later(after_s, self.fire, service))

    def fire(self, service: Service) -> bool:
        """What its start triggers wait for happens; False if it has none."""
        if not any(trigger.casefold().startswith("start/") for trigger in service.triggers):
            return False
        self._start(service, "trigger")
        return True

    @staticmethod
    def forget(service: Service) -> None:
        """Nothing of it comes any more."""
        for timer in service.revivals:
            timer.cancel()
        service.revivals.clear()
        service.failures = 0

    @staticmethod
    def _forget(service: Service) -> None:
        service.failures = 0
