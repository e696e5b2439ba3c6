"""Unmodified pypsrp against the lab: every way in, services read and controlled, errors, warnings, stop, close."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pypsrp.complex_objects import PSInvocationState
from pypsrp.exceptions import AuthenticationError, WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from virtual_windows import PASSWORD, command, host, lab, run, session, states, wsman

from orchestrator.lab.client import LabProcess

SERVICES: list[dict[str, Any]] = [
    {"name": "Quick", "display_name": "Quick one", "start_s": 0.1, "stop_s": 0.1},
    {"name": "Slow", "stop_s": 2.6},
    {"name": "Base", "stop_s": 0.05},
    {"name": "Above", "requires": ["Base"], "stop_s": 0.05},
    {"name": "Off", "state": "Stopped", "start_type": "Disabled"},
    {"name": "Late", "start_type": "AutomaticDelayed"},
    {"name": 'O\'Brien "x" [1] $ü服'},
]
TRANSPORTS = [
    ("basic", False),
    ("ntlm", False),
    ("negotiate", False),
    ("basic", True),
    ("ntlm", True),
    ("negotiate", True),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LabProcess, dict[str, str]]]:
    hosts = [host("db-01", *SERVICES), host("de-01", *SERVICES, language="de"), host("few", max_shells=2)]
    with lab(tmp_path_factory.mktemp("lab"), *hosts, transports=("http", "https")) as process:
        yield process, {each["name"]: each["address"] for each in hosts}


@pytest.fixture
def pool(world: tuple[LabProcess, dict[str, str]]) -> Iterator[RunspacePool]:
    process, addresses = world
    process.order(op="clear")
    for service in ("Quick", "Slow", "Base", "Above"):
        process.order(op="set", host="db-01", service=service, state="Running")
    with session(addresses["db-01"]) as opened:
        yield opened


@pytest.mark.parametrize(("auth", "tls"), TRANSPORTS)
def test_every_way_in_reads_services(world: tuple[LabProcess, dict[str, str]], auth: str, tls: bool) -> None:
    process, addresses = world
    with session(addresses["de-01"], auth=auth, ssl=tls, cert_validation=str(process.ca)) as pool:
        assert states(run(pool, "Get-Service", Name=["quick", "Off"])) == {"Quick": "Running", "Off": "Stopped"}
        assert pool.state == 2
    assert pool.protocol_version == "2.3"


def test_the_labs_certificates_are_trusted_by_its_own_ca_alone(world: tuple[LabProcess, dict[str, str]]) -> None:
    _, addresses = world
    with wsman(addresses["de-01"], ssl=True) as connection, pytest.raises(requests.exceptions.SSLError, match="verify"):
        RunspacePool(connection).open()


@pytest.mark.parametrize("auth", ["basic", "ntlm", "negotiate"])
def test_a_wrong_password_is_turned_away_and_logged(world: tuple[LabProcess, dict[str, str]], auth: str) -> None:
    process, addresses = world
    before = len(process.log(kind="auth", host="few", ok=False))
    with wsman(addresses["few"], auth=auth, password="wrong") as connection, pytest.raises(AuthenticationError):
        RunspacePool(connection).open()
    assert len(process.log(kind="auth", host="few", ok=False)) == before + 1
    assert PASSWORD not in (process.dir / "log.jsonl").read_text()


def test_a_stop_is_watched_from_a_second_pipeline(world: tuple[LabProcess, dict[str, str]]) -> None:
    process, addresses = world
    process.order(op="set", host="db-01", service="Slow", state="Running")
    with session(addresses["db-01"], auth="negotiate") as pool:
        stop = command(pool, "Stop-Service", Name="Slow", PassThru=True)
        stop.begin_invoke()
        seen = states(run(pool, "Get-Service", Name="Slow"))
        assert seen == {"Slow": "StopPending"}
        stop.end_invoke()
        assert states(stop) == {"Slow": "Stopped"}
        assert [warning.message for warning in stop.streams.warning] == ["Waiting for service 'Slow (Slow)' to stop..."]
        assert stop.state == PSInvocationState.COMPLETED


def test_starting_what_runs_and_stopping_what_is_down_are_silent(pool: RunspacePool) -> None:
    assert run(pool, "Start-Service", Name="Quick").streams.error == []
    assert run(pool, "Stop-Service", Name="Quick").streams.error == []
    stopped = run(pool, "Stop-Service", Name="Quick")
    assert (stopped.streams.error, stopped.output) == ([], [])
    assert states(run(pool, "Start-Service", Name="Quick", PassThru=True)) == {"Quick": "Running"}


def errors(shell: PowerShell) -> list[tuple[str, str]]:
    return [(str(error), str(error.fq_error)) for error in shell.streams.error]


def test_errors_are_non_terminating_and_named_as_windows_names_them(pool: RunspacePool) -> None:
    command_class = "Microsoft.PowerShell.Commands"
    asked: list[tuple[str, dict[str, Any], str, str]] = [
        ("Get-Service", {"Name": "nobody"}, "Cannot find any service with service name 'nobody'.",
         f"NoServiceFoundForGivenName,{command_class}.GetServiceCommand"),
        ("Start-Service", {"Name": "Off"}, "Service 'Off (Off)' cannot be started due to the following error: "
         "Cannot start service Off on computer '.'.", f"CouldNotStartService,{command_class}.StartServiceCommand"),
        ("Stop-Service", {"Name": "Base"}, "Cannot stop service 'Base (Base)' because it has dependent services. It "
         "can only be stopped if the Force flag is set.",
         f"ServiceHasDependentServices,{command_class}.StopServiceCommand"),
        ("Set-Service", {"Name": "nobody", "StartupType": "Manual"}, "Service nobody was not found on computer '.'.",
         f"InvalidOperationException,{command_class}.SetServiceCommand"),
    ]  # fmt: skip
    for name, parameters, text, id in asked:
        shell = run(pool, name, **parameters)
        assert errors(shell) == [(text, id)]
        assert shell.state == PSInvocationState.COMPLETED
        assert shell.had_errors is False


def test_an_error_carries_windows_own_words_inside_its_exception(world: tuple[LabProcess, dict[str, str]]) -> None:
    process, addresses = world
    process.order(op="fault", host="de-01", service="Quick", kind="refuses")
    with session(addresses["de-01"]) as pool:
        (error,) = run(pool, "Stop-Service", Name="Quick").streams.error
    process.order(op="clear", host="de-01")
    assert error.exception is not None
    assert "kann aufgrund des folgenden Fehlers nicht beendet werden" in str(error)
    assert (
        "System.ComponentModel.Win32Exception: Zugriff verweigert"
        in error.exception.adapted_properties["InnerException"]
    )


def test_silently_continue_hides_errors_and_stop_makes_them_end_the_pipeline(pool: RunspacePool) -> None:
    assert errors(run(pool, "Get-Service", Name="nobody", ErrorAction="SilentlyContinue")) == []
    shell = run(pool, "Get-Service", Name="nobody", ErrorAction="Stop")
    assert shell.state == PSInvocationState.FAILED


def test_force_stops_dependents_first(world: tuple[LabProcess, dict[str, str]], pool: RunspacePool) -> None:
    process, _ = world
    before = len(process.log(kind="state", host="db-01"))
    assert errors(run(pool, "Stop-Service", Name="Base", Force=True)) == []
    changes = [(line["service"], line["to"]) for line in process.log(kind="state", host="db-01")[before:]]
    assert changes == [("Above", "StopPending"), ("Above", "Stopped"), ("Base", "StopPending"), ("Base", "Stopped")]
    run(pool, "Start-Service", Name="Above")
    assert states(run(pool, "Get-Service", Name=["Base", "Above"])) == {"Base": "Running", "Above": "Running"}


def test_wildcards_and_escapes_in_names(pool: RunspacePool) -> None:
    assert set(states(run(pool, "Get-Service", Name="*o*"))) == {"Slow", "Above", "Off", 'O\'Brien "x" [1] $ü服'}
    assert errors(run(pool, "Get-Service", Name="zzz*")) == []
    odd = 'O\'Brien "x" `[1`] $ü服'
    assert states(run(pool, "Get-Service", Name=odd)) == {'O\'Brien "x" [1] $ü服': "Running"}
    assert len(errors(run(pool, "Get-Service", Name='O\'Brien "x" [1] $ü服'))) == 0, "an unmatched set is a wildcard"


def test_properties_stand_where_windows_puts_them(pool: RunspacePool) -> None:
    base, late = run(pool, "Get-Service", Name=["Late", "Base"]).output
    assert base.types[0] == "System.ServiceProcess.ServiceController"
    assert base.adapted_properties["ServiceName"] == "Base"
    assert base.extended_properties["Name"] == "Base"
    assert base.adapted_properties["Status"].property_sets == [4]
    assert base.adapted_properties["DependentServices"] == ["Above"]
    assert base.adapted_properties["CanStop"] is True
    assert str(late.adapted_properties["StartType"]) == "Automatic", "5.1 knows no delayed start"
    assert late.extended_properties["RequiredServices"] == []


def test_set_service_changes_the_start_type_and_the_state(pool: RunspacePool) -> None:
    assert errors(run(pool, "Set-Service", Name="Quick", StartupType="Manual", Status="Stopped")) == []
    (quick,) = run(pool, "Get-Service", Name="Quick").output
    assert (str(quick.adapted_properties["StartType"]), str(quick.adapted_properties["Status"])) == (
        "Manual",
        "Stopped",
    )
    run(pool, "Set-Service", Name="Quick", StartupType="Automatic", Status="Running")


def test_script_text_and_unknown_names_are_refused(pool: RunspacePool) -> None:
    script = PowerShell(pool)
    script.add_script("Get-Service | Where-Object Status -eq Running")
    script.invoke()
    assert script.state == PSInvocationState.FAILED
    assert script.streams.error[0].fq_error == "ScriptsNotAllowed"
    assert run(pool, "Get-Frobnicate").streams.error[0].fq_error == "CommandNotFoundException"
    unknown = run(pool, "Get-Service", Frob="x")
    assert str(unknown.streams.error[0].fq_error).startswith("NamedParameterNotFound,")


def test_a_pipeline_can_be_stopped_and_the_service_goes_on_stopping(
    world: tuple[LabProcess, dict[str, str]], pool: RunspacePool
) -> None:
    process, _ = world
    stop = command(pool, "Stop-Service", Name="Slow")
    stop.begin_invoke()
    stop.poll_invoke(timeout=1)
    stop.stop()
    assert stop.state == PSInvocationState.STOPPED
    assert states(run(pool, "Get-Service", Name="Slow")) == {"Slow": "StopPending"}
    process.until(host="db-01", service="Slow", to="Stopped")


def test_more_pipelines_than_runspaces_wait_their_turn(world: tuple[LabProcess, dict[str, str]]) -> None:
    process, addresses = world
    for service in ("Slow", "Quick"):
        process.order(op="set", host="db-01", service=service, state="Running")
    with session(addresses["db-01"], max_runspaces=1) as pool:
        first, second = command(pool, "Stop-Service", Name="Slow"), command(pool, "Stop-Service", Name="Quick")
        first.begin_invoke()
        second.begin_invoke()
        assert process.order(op="ps")["hosts"][0]["services"][0]["state"] == "Running"
        second.end_invoke()
        first.end_invoke()
    down = [line["service"] for line in process.log(kind="state", host="db-01", to="Stopped")][-2:]
    assert down == ["Slow", "Quick"]


def test_shells_are_counted_and_unknown_ones_are_faults(world: tuple[LabProcess, dict[str, str]]) -> None:
    _, addresses = world
    with session(addresses["few"]), session(addresses["few"]):
        with (
            wsman(addresses["few"]) as third,
            pytest.raises(WSManFaultError, match="maximum number of 2 concurrent") as full,
        ):
            RunspacePool(third).open()
        assert full.value.code == 2150859173
        pass
    with session(addresses["few"]):
        pass


def test_a_shell_that_is_gone_is_an_unknown_one(world: tuple[LabProcess, dict[str, str]]) -> None:
    _, addresses = world
    with session(addresses["db-01"]) as pool:
        pool.connection.delete(pool.shell.resource_uri, selector_set=pool.shell._selector_set)
        with pytest.raises(WSManFaultError) as fault:
            pool.shell.receive("stdout")
        assert fault.value.code == 2150858843
        pool.state = 5  # so that the fixture does not delete it again


@pytest.mark.parametrize(("asked", "least_s", "most_s"), [(1, 0.9, 3.0), (0.2, 0.15, 2.0)])
def test_a_long_poll_ends_with_a_timeout_fault(
    world: tuple[LabProcess, dict[str, str]], asked: float, least_s: float, most_s: float
) -> None:
    _, addresses = world
    with session(addresses["db-01"]) as pool:
        began = time.monotonic()
        with pytest.raises(WSManFaultError) as fault:
            pool.shell.receive("stdout", timeout=asked)  # type: ignore[arg-type]  # fractions are legal on the wire
        assert fault.value.code == 2150858793
        assert least_s < time.monotonic() - began < most_s


def test_a_megabyte_goes_in_and_comes_out_again(pool: RunspacePool) -> None:
    big = "".join(chr(0x41 + number % 26) for number in range(1_000_000))
    shell = run(pool, "lab-exit.exe", "0", big + "äöü😀")
    assert shell.output == [big + "äöü😀"]


def test_the_hosts_clock_is_its_own(tmp_path: Path) -> None:
    ahead = host("ahead", clock_skew_s=3600)
    with lab(tmp_path, ahead), session(ahead["address"]) as pool:
        (value,) = run(pool, "Get-Date").output
        assert value.property_sets[0].endswith("+00:00")
        hour = time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() + 3600))
        assert value.property_sets[0].startswith(hour[:-2]), value.property_sets


def test_the_host_tells_when_it_started(pool: RunspacePool) -> None:
    (told,) = run(pool, "Get-CimInstance", ClassName="Win32_OperatingSystem", Property="LastBootUpTime").output
    booted = str(told.adapted_properties["LastBootUpTime"])
    assert booted.startswith(
        tuple(time.strftime("%Y-%m-%dT", time.gmtime(time.time() - up)) for up in (259_200, 262_800))
    )
    assert told.adapted_properties["Caption"] is None
    (failed,) = run(pool, "Get-CimInstance", ClassName="Win32_Nothing").streams.error
    assert str(failed.fq_error).startswith("HRESULT 0x80041010,")


def test_server_limits_and_liveness_can_be_asked(pool: RunspacePool) -> None:
    pool.connection.update_max_payload_size()
    assert pool.connection.max_envelope_size == 500 * 1024
    assert pool.is_alive()
    assert pool.get_available_runspaces() == 2
    told = pool._application_private_data
    assert told is not None
    assert str(told.data["PSVersionTable"]["PSVersion"]).startswith("5.1.")
