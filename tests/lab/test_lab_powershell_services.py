"""Services by way of the lab's PowerShell: cmdlets and controllers, their waits, errors and Windows' numbers."""

from pathlib import Path

import pytest
from virtual_powershell import script, session

WALK = (
    'catch { $x = $_.Exception; while ($x) { "$($x.GetType().FullName) $($x.NativeErrorCode)";'
    " $x = $x.InnerException } }"
)


def test_services_are_found_by_name_and_pattern(tmp_path: Path) -> None:
    assert script(tmp_path, "Get-Service | ForEach-Object Name").lines == ["Base", "Later", "Off", "Slow", "Web"]
    assert script(tmp_path, "Get-Service w*, BASE | % Name").lines == ["Base", "Web"]
    escaped = (
        "Get-Service -Name ([Management.Automation.WildcardPattern]::Escape('We[b]')) -ErrorAction SilentlyContinue"
    )
    assert script(tmp_path, f"@({escaped}).Count").lines == ["0"]


def test_a_service_has_the_properties_of_its_controller(tmp_path: Path) -> None:
    text = (
        '$s = Get-Service Web; $s.Name; $s.DisplayName; [int]$s.Status; "$($s.Status) $($s.StartType)"; $s.CanStop;'
        " $s.ServicesDependedOn.Name; (Get-Service Base).DependentServices | % Name; (Get-Service Later).StartType;"
        ' $s.CanPauseAndContinue; "$s"; $s.GetType().FullName'
    )
    assert script(tmp_path, text).lines == [
        "Web", "Web site", "4", "Running Automatic", "True", "Base", "Web", "Automatic", "False", "Web",
        "System.ServiceProcess.ServiceController",
    ]  # fmt: skip


def test_the_registry_tells_a_delayed_start(tmp_path: Path) -> None:
    key = "HKLM:\\SYSTEM\\CurrentControlSet\\Services\\"
    read = f"(Get-ItemProperty -LiteralPath '{key}Later').DelayedAutostart; (Get-ItemProperty '{key}Off').Start"
    assert script(tmp_path, read).lines == ["1", "4"]
    missing = f"try {{ Get-ItemProperty '{key}Nope' -ErrorAction Stop }} catch {{ $_.FullyQualifiedErrorId }}"
    assert script(tmp_path, missing).lines == ["PathNotFound,Microsoft.PowerShell.Commands.GetItemPropertyCommand"]


FAILURES = [
    ("Start-Service Off -ErrorAction Stop", 1058, "System.InvalidOperationException"),
    ("Suspend-Service Web -ErrorAction Stop", 1052, "System.InvalidOperationException"),
    ("Resume-Service Off -ErrorAction Stop", 1062, "System.InvalidOperationException"),
]


@pytest.mark.parametrize(("text", "number", "within"), FAILURES, ids=[text for text, *_ in FAILURES])
def test_a_refused_control_carries_windows_number_within(tmp_path: Path, text: str, number: int, within: str) -> None:
    assert script(tmp_path, f"try {{ {text} }} {WALK}").lines == [
        "Microsoft.PowerShell.Commands.ServiceCommandException ",
        f"{within} ",
        f"System.ComponentModel.Win32Exception {number}",
    ]


def test_controls_wait_and_warn_every_two_seconds(tmp_path: Path) -> None:
    ended = script(tmp_path, "Start-Service Slow; (Get-Service Slow).Status", "de")
    assert ended.lines == ['WARNUNG: Warten auf Start des Diensts "Slow one (Slow)"...'] * 2 + ["Running"]
    quiet = script(tmp_path, "Start-Service Slow -WarningAction SilentlyContinue; (Get-Service Slow).Status")
    assert quiet.lines == ["Running"]


def test_a_service_is_suspended_and_resumed(tmp_path: Path) -> None:
    text = "Suspend-Service Later; (Get-Service Later).Status; Resume-Service Later; (Get-Service Later).Status"
    assert script(tmp_path, text).lines == ["Paused", "Running"]


def test_dependents_need_force(tmp_path: Path) -> None:
    ended = script(
        tmp_path, "Stop-Service Base; (Get-Service Base).Status; Stop-Service Base -Force; (Get-Service Web).Status"
    )
    assert ended.lines == ["Running", "Stopped"]
    assert "ServiceHasDependentServices,Microsoft.PowerShell.Commands.StopServiceCommand" in ended.errors


def test_services_may_be_piped(tmp_path: Path) -> None:
    ended = script(
        tmp_path,
        "Get-Service Web | Stop-Service -PassThru | % Status; 'Web' | Get-Service | % Status;"
        " Set-Service Web -StartupType Manual; (Get-Service Web).StartType",
    )
    assert ended.lines == ["Stopped", "Stopped", "Manual"]


def test_a_controller_is_driven_by_its_methods(tmp_path: Path) -> None:
    text = (
        "$s = Get-Service Web; $s.Stop(); $s.Status; $s.WaitForStatus('Stopped', [TimeSpan]::FromSeconds(9));"
        " $s.Status;"
        " try { $s.Stop() } catch { $_.Exception.InnerException.InnerException.NativeErrorCode };"
        " try { $s.WaitForStatus('Running', '00:00:01') } catch { $_.Exception.InnerException.GetType().Name };"
        " $s.Start(); $s.Refresh(); $s.Status"
    )
    assert script(tmp_path, text).lines == ["Running", "Stopped", "1062", "TimeoutException", "StartPending"]


def test_what_is_asked_of_the_host_is_logged_once(tmp_path: Path) -> None:
    ended = session(
        tmp_path,
        "function f($n) { Get-Service -Name $n | % Name | Out-Null }",
        "f Web",
        "Stop-Service Web; sc.exe query Web | Out-Null",
    )
    commands = [
        (line["name"], line["parameters"] or line.get("arguments")) for line in ended.log if line["kind"] == "command"
    ]
    assert commands == [
        ("Get-Service", {"Name": "Web"}),
        ("Stop-Service", {"Name": "Web"}),
        ("sc.exe", ["query", "Web"]),
    ]
    assert [line["control"] for line in ended.log if line["kind"] == "control"] == ["stop"]


def test_errors_are_told_in_the_hosts_language(tmp_path: Path) -> None:
    assert (
        'Es wurde kein Dienst mit dem Dienstnamen "nope" gefunden.' in script(tmp_path, "Get-Service nope", "de").errors
    )
    assert "In Zeile:1 Zeichen:1" in script(tmp_path, "Get-Service nope", "de").errors
