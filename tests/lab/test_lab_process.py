"""The lab as a process: how it comes up, says so, ends, and leaves nothing behind; a thousand hosts of it."""

import concurrent.futures
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import loopback
import pytest
from loopback import fresh_address
from virtual_windows import host, lab, run, session, states

from orchestrator.lab.client import LabError, order, start


def lab_of(path: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator.lab", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def described(folder: Path, *hosts: dict[str, Any], **given: Any) -> Path:
    path = folder / "fleet.json"
    path.write_text(json.dumps({"dir": str(folder / "lab"), "hosts": hosts, **given}), encoding="utf-8")
    return path


@pytest.mark.parametrize("way", ["down", "sigint", "sigterm"])
def test_it_says_when_it_is_ready_and_ends_cleanly_when_told(tmp_path: Path, way: str) -> None:
    one = host("db-01", {"name": "A", "ports": [{"port": 7080}]})
    process = lab_of(described(tmp_path, one))
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    folder = tmp_path / "lab"
    assert ready == {
        "ready": True, "hosts": 1, "control": str(folder / "control.sock"), "ca": str(folder / "ca.pem")
    }  # fmt: skip
    facts = json.loads((folder / "lab.json").read_text())
    assert (facts["pid"], facts["hosts"], facts["control"]) == (process.pid, 1, ready["control"])
    assert folder.stat().st_mode & 0o777 == 0o700
    socket.create_connection((one["address"], 7080), timeout=5).close()
    if way == "down":
        assert order(ready["control"], {"op": "down"}) == {"ok": True}
    else:
        process.send_signal(signal.SIGINT if way == "sigint" else signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")
    assert not (folder / "lab.json").exists()
    assert not (folder / "control.sock").exists()
    with pytest.raises(LabError, match="no lab answers at"):
        order(ready["control"], {"op": "ps"})


def test_a_bad_description_ends_with_a_clear_message(tmp_path: Path) -> None:
    process = lab_of(described(tmp_path, {"name": "x", "address": "10.1.2.3"}))
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("error: ")
    assert "hosts[0].address: '10.1.2.3' is not an address of 127.0.0.0/8" in err


def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    address = fresh_address()
    with socket.create_server((address, 5985)):
        process = lab_of(described(tmp_path, {"name": "db-01", "address": address}))
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    assert err == f"error: db-01: can't listen on {address}: Address already in use\n"
    again = start({"dir": str(tmp_path / "again"), "hosts": [{"name": "db-01", "address": address}]})
    with socket.create_server((address, 5985)), pytest.raises(LabError, match="did not come up: error: db-01: can't"):
        again.__enter__()


def test_a_folder_with_a_long_name_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 90)
    with lab(folder, host("db-01")) as process:
        assert process.control.parent != folder
        assert process.order(op="ps")["hosts"][0]["host"] == "db-01"
        assert json.loads((folder / "lab.json").read_text())["control"] == str(process.control)
        elsewhere = process.control.parent
    assert not elsewhere.exists()


def test_ports_open_after_their_warm_up_and_close_with_the_service(tmp_path: Path) -> None:
    service = {"name": "A", "start_s": 0.1, "stop_s": 0.1, "ports": [{"port": 7080, "warmup_s": 0.5}]}
    one = host("db-01", service)
    with lab(tmp_path, one) as process, session(one["address"]) as pool:
        held = socket.create_connection((one["address"], 7080), timeout=5)
        run(pool, "Stop-Service", Name="A")
        held.settimeout(5)
        with held:
            assert held.recv(1) == b"", "closed with the service"
        run(pool, "Start-Service", Name="A")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((one["address"], 7080), timeout=5)
        (line,) = process.log(kind="state", to="Running")
        ends_at = line["t"] + 10
        while True:
            try:
                socket.create_connection((one["address"], 7080), timeout=5).close()
                break
            except ConnectionRefusedError:
                assert time.monotonic() < ends_at
        assert time.monotonic() - line["t"] >= 0.5


def test_the_log_tells_the_story_in_order(tmp_path: Path) -> None:
    one = host("db-01", {"name": "A", "stop_s": 0.05})
    with lab(tmp_path, one) as process:
        with session(one["address"], auth="ntlm") as pool:
            run(pool, "Stop-Service", Name="A")
        process.order(op="fault", host="db-01", kind="slow", value=0)
        log = process.log()
    story = [line["kind"] + ":" + str(line.get("action") or line.get("name") or line.get("to") or "") for line in log]
    assert story.count("http:Receive") == 3
    told = [line for line in story if line != "http:Receive"]  # when the client asks for answers is its own affair
    assert told == [
        "connect:", "http:authenticate", "http:authenticate", "auth:", "http:authenticate",
        "http:Create", "http:Command", "command:Stop-Service",
        "state:StopPending", "control:", "state:Stopped", "http:Delete", "disconnect:", "fault:",
    ]  # fmt: skip
    assert [line["t"] for line in log] == sorted(line["t"] for line in log)
    (asked,) = process.log(kind="command")
    assert (asked["host"], asked["parameters"]) == ("db-01", {"Name": "A"})
    (changed,) = process.log(kind="state", to="Stopped")
    assert (changed["service"], changed["from"], changed["why"]) == ("A", "StopPending", "stopped")


def test_whoever_started_it_can_wait_for_its_end(tmp_path: Path) -> None:
    with lab(tmp_path, host("db-01")) as process:
        process.order(op="down")
        assert process.wait() == 0


def memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


def test_a_thousand_hosts_come_up_in_seconds_and_in_little_memory(tmp_path: Path) -> None:
    services = [{"name": f"S{n}", "ports": [{"port": 7000 + n}]} for n in range(5)]
    hosts = [
        {"name": f"h-{n:04}", "address": address, "services": services}
        for n, address in enumerate(loopback.addresses(1000))
    ]
    began = time.monotonic()
    with lab(tmp_path, *hosts, transports=("http", "https")) as process:
        assert time.monotonic() - began < 30

        def read(each: dict[str, Any]) -> int:
            with session(str(each["address"]), max_runspaces=1) as pool:
                return len(states(run(pool, "Get-Service")))

        with concurrent.futures.ThreadPoolExecutor(16) as threads:
            assert set(threads.map(read, hosts[::10])) == {5}
        held = []
        for each in hosts:
            held.append(socket.create_connection((str(each["address"]), 5985), timeout=10))
        assert len(process.order(op="ps")["hosts"]) == 1000
        assert memory_mib(process.pid) < 1024
        for connection in held:
            connection.close()
    assert not Path(f"/proc/{process.pid}").exists()
