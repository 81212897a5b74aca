"""A stranger's chat template is rendered as transformers renders it, and never beyond limits."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import small_causal
from transformers.utils.chat_template_utils import render_jinja_template

from lam3db.errors import InputError, ModelError
from lam3db.models.template_host import LIMITS, TemplateHost, TemplateLimitError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TURNS: list[dict[str, Any]] = [
    {"role": "system", "content": "Be <b>brief</b> & é🙂"},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "say {{ x }}"}]},
    {"role": "assistant", "content": " said\n"},
]
TOKENS = {"bos_token": "<s>"}
TEMPLATES = {
    "blocks": "{% for m in messages %}\n  {% if m.role == 'user' %}\n{{ m.role }}\n  {% endif %}\n"
    "{% endfor %}\nend\n",
    "loop controls": "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}"
    "{{ m.role }}{% break %}{% endfor %}",
    "generation": "{% set a = 1 %}{% for m in messages %}{% generation %}{% set a = 2 %}"
    "{{ m.role }}{{ a }}{% endgeneration %}{{ a }}{% endfor %}",
    "json": "{{ messages | tojson }}{{ messages[0] | tojson(indent=2) }}{{ 'é' | tojson(true) }}",
    "namespace": "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
    "{% endfor %}{{ ns.n }}{{ ns['n'] }}",
    "dict": "{{ dict(a=1) }}{{ dict.fromkeys(['a', 'b'], 2) }}",
    "tokens": "{{ bos_token }}{{ missing }}{% if tools %}tools{% endif %}{{ documents is none }}",
    "strings": "{{ messages[2].content.strip() }}{{ messages[2]['content'] | trim | upper }}"
    "{{ messages[1].content | selectattr('type', 'equalto', 'text') | map(attribute='text')"
    " | join }}{{ 'a,b'.split(',') }}{{ '%05d' % 7 }}{{ messages[::-1] | length }}",
    "macro": "{% macro t(x) %}[{{ x }}]{% endmacro %}{{ t(add_generation_prompt) }}",
    "day": "{{ strftime_now('%Y') }}",
}


@pytest.fixture
def host() -> Iterator[TemplateHost]:
    host = TemplateHost(replace(LIMITS, cpu_s=0.5, memory_bytes=256 << 20, characters=100_000))
    yield host
    host.close()


def variables(**more: Any) -> dict[str, Any]:
    fixed = {"messages": TURNS, "tools": None, "documents": None, "add_generation_prompt": True}
    return fixed | TOKENS | more


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_is_rendered_is_what_transformers_renders(host: TemplateHost, name: str) -> None:
    (right,), _ = render_jinja_template(
        [TURNS], chat_template=TEMPLATES[name], add_generation_prompt=True, **TOKENS
    )
    assert host.render(TEMPLATES[name], variables()) == right


REFUSED = {
    "{{ raise_exception('no system role') }}": "no system role",
    "{{ messages.x.y }}": "no attribute",
    "{% for x in y": "end of template",
    "{{ 1 / 0 }}": "ZeroDivisionError",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}": "unsafe",
    "{% set ns = namespace(_a=1) %}": "_a",
    "{{ messages.append(1) }}": "unsafe",
    "{% for a in range(999999999) %}{% endfor %}": "OverflowError",
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}": "RecursionError",
    "{% include 'passwd' %}": "loader",
}


@pytest.mark.parametrize("template", REFUSED)
def test_what_a_template_may_not_do_is_refused_with_the_reason(
    host: TemplateHost, template: str
) -> None:
    with pytest.raises(InputError, match=REFUSED[template]) as told:
        host.render(template, variables())
    assert not isinstance(told.value, TemplateLimitError)


EXCEEDED = {
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}": "time|0.5 s",
    "{{ '%999999999d' % 1 }}": "MiB|0.5 s",
    "{{ 'x' * 10**10 }}": "MiB",
    "{{ 'x' * 200000 }}": "characters",
    "{% set ns = namespace(x='x') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}"
    "{% endfor %}": "MiB|0.5 s",
    "{{ [[[1] * 9999] * 9999] * 9999 }}": "MiB|0.5 s",
    "{{ (10 ** 9999999) | string | length }}": "0.5 s",
    "{{ ('a' * 50000) | wordwrap(1) | replace('a', 'b' * 50000) }}": "MiB|0.5 s",
}


@pytest.mark.parametrize("template", EXCEEDED)
def test_a_template_without_end_costs_its_limits_and_no_more(
    host: TemplateHost, template: str
) -> None:
    started = time.monotonic()
    with pytest.raises(TemplateLimitError, match=EXCEEDED[template]):
        host.render(template, variables())
    assert time.monotonic() - started < 30
    assert host.render("{{ messages | length }}", variables()) == "3"


def test_a_fork_has_a_process_of_its_own(host: TemplateHost) -> None:
    assert host.render("{{ 1 }}", {}) == "1"
    child = os.fork()
    if not child:
        os._exit(0 if host.render("{{ 2 }}", {}) == "2" else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert host.render("{{ 3 }}", {}) == "3"


def test_a_process_that_was_killed_is_started_again(host: TemplateHost) -> None:
    assert host.render("{{ 1 }}", {}) == "1"
    assert host._process is not None
    host._process.kill()
    host._process.wait()
    assert host.render("{{ 2 }}", {}) == "2"


def test_a_model_whose_template_never_ends_is_refused_before_it_is_loaded(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: TemplateHost
) -> None:
    monkeypatch.setattr("lam3db.models.chat_template.HOST", host)
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    folder = small_causal.build_random(tmp_path / "m", endless)
    with pytest.raises(ModelError, match=r"cannot be used: it runs longer than 0\.5 s"):
        bench.plan(folder)
