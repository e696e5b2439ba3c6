"""What must not leak and what must not be believed: secrets, certificates, and texts that come from hosts."""

import json
from pathlib import Path
from typing import Any

from cli_lab import IMPATIENT, PAIR, PASSWORD, Ended, Site, service_of, site

SQL, ONE, TWO = "MSSQLSERVER@db-01", "Orders@app-01", "Orders@app-02"
TOKEN = "hush-4711-token"
GUARDED = (
    (PAIR + "on_failure: continue\n")
    .replace("deadline: 5s", "deadline: 2s")
    .replace(
        "depends_on: [sql] }",
        "depends_on: [sql], ready: [ { http: { url: 'http://{{ host.address }}:8080/health',"
        " headers: { Authorization: \"Bearer {{ secret('env:TOKEN') }}\" } } } ] }",
    )
)
EVIL = "Orders [red]on[/red] \x1b[31mfire\x1b[0m\x07"


def leaks(site: Site, secrets: tuple[str, ...], *ends: Ended) -> list[str]:
    """Where a secret stands in clear: what was said, and every file of the state folder."""
    texts = {f"{end.code}": (end.out + end.err).encode() for end in ends}
    texts |= {str(path): path.read_bytes() for path in site.state.rglob("*") if path.is_file()}
    assert any("journal" in name or ".db" in name or ".sqlite" in name for name in texts), texts.keys()
    return [name for name, text in texts.items() for secret in secrets if secret.encode() in text]


def test_no_secret_is_ever_shown_or_stored(tmp_path: Path) -> None:
    with site(tmp_path, GUARDED, variables=IMPATIENT) as pair:
        pair.fault(TWO, "never-healthy")
        ends = [
            pair.orch(*words, TOKEN=TOKEN)
            for words in (["inventory", "--plan", str(pair.plan)], ["check"], ["stop", "--yes", "--json"])
        ]
        ends.append(pair.orch("start", "--yes", TOKEN=TOKEN))
        assert [end.code for end in ends] == [0, 1, 0, 1], [end.said for end in ends]
        pair.fault("app-01", "rejects-credentials")
        ends.append(pair.orch("stop", "--yes", TOKEN=TOKEN))
        ends += [pair.orch("show", "last"), pair.orch("show", "last", "--json")]
        assert leaks(pair, (PASSWORD, TOKEN), *ends) == []


def test_texts_of_hosts_are_shown_as_text(tmp_path: Path) -> None:
    def odd(fleet: dict[str, Any]) -> None:
        service_of(fleet, TWO)["display_name"] = EVIL

    with site(tmp_path, PAIR, adjust=odd) as pair:
        pair.fault(TWO, "refuses")
        ended = pair.orch("stop", "--yes")
        assert ended.code == 6
        assert "Service 'Orders [red]on[/red] fire\\x07 (Orders)' cannot be stopped" in ended.said
        seen = pair.orch("show", "last")
        assert "Service 'Orders [red]on[/red] fire\\x07 (Orders)' cannot be stopped" in seen.said
        assert "\x1b" not in ended.out + ended.err + seen.out + seen.err
        assert "\x07" not in ended.out + ended.err + seen.out + seen.err
        told = json.loads(pair.orch("show", "last", "--json").out)
        assert EVIL in json.dumps(told, ensure_ascii=False) or "fire" in json.dumps(told)


def test_https_is_verified_and_a_wrong_authority_gets_no_password(tmp_path: Path) -> None:
    over_tls = {
        "ansible_psrp_protocol": "https",
        "ansible_port": 5986,
        "ansible_psrp_auth": "basic",
        "ansible_psrp_ca_cert": str(tmp_path / "lab" / "ca.pem"),
        **IMPATIENT,
    }
    (tmp_path / "one").mkdir()
    with site(
        tmp_path / "one", PAIR, variables={**over_tls, "ansible_psrp_ca_cert": str(tmp_path / "one/lab/ca.pem")}
    ) as pair:
        good = pair.orch("stop", "--yes")
        assert good.code == 0, good.said
        assert set(pair.states().values()) == {"Stopped"}
        inventory = pair.folder / "hosts.yaml"
        text = inventory.read_text()
        pair.read = len(pair.lab.log())
        inventory.write_text(text.replace('"ansible_psrp_ca_cert"', '"unused"'))
        bad = pair.orch("start", "--yes")
        assert (bad.code, pair.untouched()) == (2, True), bad.said
        assert "unreachable: TLS failed: unable to get local issuer certificate" in bad.said
        assert (
            "set ansible_psrp_ca_cert to the PEM file of the authority that signed the host's certificate" in bad.said
        )
        assert (pair.log("auth"), pair.log("http")) == ([], [])
        inventory.write_text(text.replace("ca.pem", "nowhere.pem"))
        lost = pair.orch("start", "--yes")
        assert (lost.code, pair.log("http")) == (2, []), lost.said
        assert "nowhere.pem" in lost.said
