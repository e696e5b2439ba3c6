"""Templates: what they give, what they refuse, and that nothing written in one can run away."""

import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.adapters.templates.renderer import Renderer
from orchestrator.domain.errors import TemplateError
from orchestrator.domain.secrets import SecretRef, embed

NAMES = {
    "host": {"name": "db-01", "address": "10.0.0.4", "sql_port": 1433},
    "vars": {"health_port": 8080, "items": 3, "list": [1, 2], "flag": True, "none": None},
    "service": {"key": "sql", "name": "MSSQLSERVER"},
}
render = Renderer()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("{ no } template", "{ no } template"),
        ("{{ host.sql_port }}", 1433),
        ("{{ vars.flag }}", True),
        ("{{ vars.none }}", None),
        ("{{ 5 }}", 5),
        ("{{ 2 * 45 }}", 90),
        (" {{ host.sql_port }}", " 1433"),
        ("http://{{ host.address }}:{{ vars.health_port }}/health", "http://10.0.0.4:8080/health"),
        ("{{ vars.items }}", 3),
        ("{{ vars.missing | default(7) }}", 7),
        ("{{ vars.list | map('string') | join('-') }}", "1-2"),
        ("{{ vars.list | map('string') }}", ["1", "2"]),
        ("{{ host.name | replace('-', '_') | upper }}", "DB_01"),
        ("{{ host.name.split('-')[1] }}", "01"),
        ("{{ host.name ~ ':' ~ host.sql_port }}", "db-01:1433"),
        ("{% if vars.items > 2 %}many{% else %}few{% endif %}", "many"),
        ("{{ 'a' if vars.flag else 'b' }}", "a"),
        ("{# a comment #}kept\n", "kept\n"),
        ("{{ secret('env:SQL_PASSWORD') }}", embed(SecretRef("env", "SQL_PASSWORD"))),
        ("user={{ secret('file:/run/key') }};", f"user={embed(SecretRef('file', '/run/key'))};"),
    ],
)
def test_a_text_gives_its_value(text: str, value: object) -> None:
    assert render(text, NAMES) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{{ vars.helth_port }}",
            "{{ vars.helth_port }}: 'helth_port' is undefined; the nearest known name is 'health_port'",
        ),
        ("{{ hots.name }}", "{{ hots.name }}: 'hots' is undefined; the nearest known name is 'host'"),
        ("{{ secrt('env:A') }}", "{{ secrt('env:A') }}: 'secrt' is undefined; the nearest known name is 'secret'"),
        ("{{ x }}", "{{ x }}: 'x' is undefined; known: host, secret, service, vars"),
        ("{{ [x] }}", "{{ [x] }}: 'x' is undefined; known: host, secret, service, vars"),
        ("{{ host.name", "{{ host.name: unexpected end of template, expected 'end of print statement'."),
        ("{{ vars.list ~ '' }}", "{{ vars.list ~ '' }}: a list or a mapping can't stand inside text"),
        ("{{ 1 / 0 }}", "{{ 1 / 0 }}: division by zero"),
        ("{{ secret }}", "{{ secret }}: it gives a function, not data"),
        (
            "{{ secret('evn:A') }}",
            "{{ secret('evn:A') }}: secret('evn:A'): write env:NAME, file:PATH, keyring:SERVICE/USER or command:...",
        ),
    ],
)
def test_a_mistake_is_told_with_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(text, NAMES)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "text",
    [
        "{{ secret('env:A') | upper }}",
        "{{ secret('env:A')[0] }}",
        "{{ secret('env:A')[1:] }}",
        "x{{ secret('env:A') | replace('env', 'nve') }}",
        "{{ [secret('env:A')[0]] }}",
    ],
)
def test_a_secret_can_not_be_cut_or_changed(text: str) -> None:
    with pytest.raises(TemplateError, match="a secret can't be cut or changed"):
        render(text, NAMES)


ATTACKS = [
    "{{ 'a' * 10**9 }}",
    "{{ 'a' * 1000000000 }}",
    "{{ [0] * 1000000000 }}",
    "{{ 10**10**10 }}",
    "{% for i in range(10**9) %}x{% endfor %}",
    "{{ range(1000000000) | list }}",
    "{% set x = 'a' %}{{ x }}",
    "{% include '/etc/passwd' %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{{ lipsum(n=1000000) }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ ''['__class__'] }}",
    "{{ secret.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ ('{:10000' ~ '00000}') .format(1) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ 'a' | center(1000000000) }}",
    "{{ 'a' | indent(1000000000) }}",
    "{{ [1] | batch(1000000000, 0) | list }}",
    "{{ 1.5 | round(1000000000, 'ceil') }}",
    "{{ [1] | tojson(indent=1000000000) }}",
    "{{ (1).to_bytes(1000000000) }}",
    "{{ vars.list.append(3) }}",
    "{{ vars.update(a=1) }}",
    "{{ 'a'" + " | replace('a', 'aaaaaaaaaa')" * 30 + " }}",
    "{{ 'ab'" + " | join('" + "a" * 200 + "')" * 30 + " }}",
    "{{ '\"'" + " | tojson" * 60 + " }}",
    "{{ " + "[" * 60 + "'\"'" + "] | string" * 60 + " }}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{{ " + "not " * 1900 + "1 }}",
    "{{ " + "x" * 10_000 + " }}",
]


@pytest.mark.parametrize("text", ATTACKS, ids=[text[:40] for text in ATTACKS])
def test_what_could_run_away_or_break_out_is_refused_at_once(text: str) -> None:
    began = time.process_time()
    with pytest.raises(TemplateError):
        render(text, NAMES)
    assert time.process_time() - began < 2


@given(st.text(alphabet="{}%#|()[]~*.'\"\\ ax1-_\n", max_size=40))
def test_any_text_gives_data_or_a_template_error(text: str) -> None:
    try:
        value = render("{{ " + text + " }}", NAMES)
    except TemplateError:
        return
    assert isinstance(value, str | int | float | bool | list | dict | None)


def test_jinja2_is_imported_only_for_a_template() -> None:
    program = (
        "import sys; from orchestrator.adapters.templates.renderer import Renderer; r = Renderer();"
        "r('plain', {}); assert 'jinja2' not in sys.modules; r('{{ 1 }}', {}); assert 'jinja2' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
