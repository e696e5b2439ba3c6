"""A start that does not last is a crash loop; one that does is healthy in its own process. On a real wire, judged by
the lab."""

from pathlib import Path

from cli_lab import PAIR, site

LASTS = PAIR.replace("ready: [ { tcp: 1433 } ]", "ready: [ { tcp: 1433, bound: true } ], min_healthy: 3s")
SQL, ONE, TWO = "MSSQLSERVER@db-01", "Orders@app-01", "Orders@app-02"


def test_who_stays_up_counts_as_up_and_who_is_revived_over_and_over_does_not(tmp_path: Path) -> None:
    with site(tmp_path, LASTS + "on_failure: continue\n") as pair:
        for crashes in (False, True):
            for unit in (SQL, ONE, TWO):
                pair.put(unit, "Stopped")
            if crashes:
                pair.fault(SQL, "crashes-after", 1.0)
                pair.fault(SQL, "revives", 0.1)
            ended = pair.orch("start", "--yes")
            assert ended.code == (1 if crashes else 0), ended.said
        # Where it is on its round when it is read is the machine's affair.
        crash, seen = "crash loop: PID ", ("Stopped after it was Running", "StartPending, not Running")
        told = (crash, *(f"is {words}" for words in seen), "is Stopped again after the start")
        assert any(words in ended.said for words in told), ended.said
        assert "Service Control Manager 7031" in pair.orch("show", "last", "--json").out
        assert pair.states()[ONE] == pair.states()[TWO] == "Stopped"
