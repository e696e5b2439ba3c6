"""Records of event logs are cut out of whatever wevtutil.exe printed."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.event_log import TEXT_MOST, records, related

RECORD = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
    "<Provider Name='Service Control Manager' Guid='{555908d1-a6d7-4695-8e1e-26931d2012f4}' EventSourceName='x'/>"
    "<EventID Qualifiers='49152'>7034</EventID><Version>0</Version><Level>2</Level>"
    "<TimeCreated SystemTime='2026-01-02T03:04:05.1234567Z'/><Channel>System</Channel><Security/></System>"
    "<EventData><Data Name='param1'>Bestellungen &amp; Mehr</Data><Data Name='param2'>1</Data></EventData>"
    "<RenderingInfo Culture='de-DE'><Message>Dienst &quot;Bestellungen &amp; Mehr&quot; wurde\nunerwartet&#32;beendet."
    "&#x1b;[31m</Message><Level>Fehler</Level></RenderingInfo></Event>"
)
DOTNET = (
    '<Event><System><Provider Name=".NET Runtime"/><EventID>1026</EventID></System>'
    "<EventData><Data>Application: Orders.Api.exe\nCoreCLR Version</Data></EventData></Event>"
)


def test_a_record_is_read_in_any_language_and_shown_in_one_clean_line() -> None:
    (found,) = records("System", f"garbage {RECORD}\r\n")
    assert (found.provider, found.id, found.level) == ("Service Control Manager", 7034, 2)
    assert found.data == ("Bestellungen & Mehr", "1")
    assert found.words == (
        "System, Service Control Manager 7034 at 2026-01-02T03:04:05Z: "
        'Dienst "Bestellungen & Mehr" wurde unerwartet beendet. [31m'
    )


def test_broken_and_cut_records_leave_the_others_whole() -> None:
    output = RECORD[:200] + RECORD + DOTNET + "<Event><System/></Event>" + RECORD[:-9]
    assert [one.id for one in records("System", output)] == [7034, 1026]


def test_entities_of_their_own_are_text_and_nothing_grows() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + RECORD.replace("&amp;", "&b;")
    assert records("System", bomb)[0].data[0] == "Bestellungen &b; Mehr"
    (found,) = records("System", RECORD.replace("unerwartet", "x" * 10_000))
    assert len(found.words) < TEXT_MOST + 100


def test_records_tell_of_a_service_by_a_value_a_word_or_their_provider() -> None:
    both = records("System", RECORD + DOTNET)
    assert [one.id for one in related(both, ["OrdersApi", "bestellungen & mehr"])] == [7034]
    assert [one.id for one in related(both, ["orders.api"])] == [1026]
    assert [one.id for one in related(both, ["Orders"])] == [1026]
    assert [one.id for one in related(both, ["Order", "1x", ""])] == []
    assert [one.id for one in related(both, ["1"])] == [7034]
    assert [one.id for one in related(both, [".net runtime"])] == [1026]


@given(
    st.text(alphabet="<>Event/ 'ProviderName=&#;x1Data")
    | st.lists(st.sampled_from([RECORD, "<Event ", "</Event>", "<Event>"]), max_size=30).map("".join)
)
def test_anything_may_stand_there(output: str) -> None:
    for one in records("Application", output):
        assert one.words
