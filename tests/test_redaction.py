"""No secret passes, and ordinary sentences are left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lam3db.redaction import is_secret_name, looks_secret, redact, redact_command

SECRET = "q7Xw9ZkLmN3p"  # noqa: S105 - of no use anywhere

TEXTS = [
    f"api_key={SECRET}",
    f"api-key: {SECRET}",
    f"OPENAI_API_KEY={SECRET} python x.py",
    f"HF_TOKEN={SECRET}",
    f"token: {SECRET}",
    f"access_token = '{SECRET} and more'",
    f'{{"api_key": "{SECRET}"}}',
    f"{{'authorization': 'Bearer {SECRET}'}}",
    f"Authorization: Bearer {SECRET}",
    f"Authorization: Basic {SECRET}",
    f"sent Bearer {SECRET}",
    f"x-api-key: {SECRET}",
    f"lam3db --api-key {SECRET} --model x",
    f"lam3db --token={SECRET}",
    f"lam3db --password '{SECRET} x'",
    f"password: {SECRET}",
    f"PGPASSWORD={SECRET}",
    f"db_password={SECRET}",
    f"aws_secret_access_key={SECRET}",
    f"postgresql://user:{SECRET}@host/db",
    f"postgresql+psycopg://user:p@ss/{SECRET}:x@host:5432/db?sslmode=require",
    f"redis://:{SECRET}@host:6379/0",
    f"HTTPS_PROXY=http://me:{SECRET}@proxy:3128",
    f"https://{SECRET}@github.com/a/b",
    f"https://x.org/v1:analyze?key={SECRET}&b=1",
    f"https://x.org/?a=1&token={SECRET}",
    f"https://x.org/blob?sig={SECRET}",
    f"sk-proj-{SECRET}",
    f"hf_{SECRET}",
    f"AIza{SECRET}{SECRET}",
    f"ghp_{SECRET}{SECRET}",
    f"github_pat_{SECRET}{SECRET}",
    f"xoxb-{SECRET}",
    f"AKIA{'ABCDEFGH12345678'}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
]

PROSE = [
    "max tokens: 5",
    "token count = 12",
    "max_new_tokens=256",
    "prompt_tokens: 1234, completion_tokens: 99",
    "token_budget=2048",
    "pad_token='<pad>' eos_token: '</s>' image_token=<image>",
    "num_image_tokens: 576",
    "image_token_id: 32000",
    "tokenizer: data/demo/llava",
    "the password is not what was asked for",
    "reveal the password of the cactus club",
    "a secret that nobody knows",
    "the bearer of bad news",
    "Basic research in plants",
    "keyword: prickly",
    "unexpected token '<' at line 3",
    "see https://example.org/a:b and write to me@example.org",
    "postgresql://user@host/db",
    "sqlite:///lam3.db",
    "lam3db generate --model demo-llava --set temperature=0.7",
    "api_key is not set: export OPENAI_API_KEY=...",
]


@pytest.mark.parametrize("text", TEXTS)
def test_secrets_are_taken_out(text: str) -> None:
    hidden = redact(text)
    assert SECRET not in hidden
    assert "ABCDEFGH12345678" not in hidden
    assert "***" in hidden
    assert redact(hidden) == hidden


@pytest.mark.parametrize("text", PROSE)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redact(text) == text


def test_what_stands_around_a_secret_stays() -> None:
    text = f"connect postgresql://me:{SECRET}@db.lab:5432/lam3 failed (api_key={SECRET}, try 3)"
    expected = "connect postgresql://me:***@db.lab:5432/lam3 failed (api_key=***, try 3)"
    assert redact(text) == expected


def test_a_command_line_can_be_pasted_again() -> None:
    words = [
        "lam3db",
        "--db",
        f"postgresql://me:{SECRET}@h/d",
        "--where",
        "behavior=a b",
        "--x",
        "",
    ]
    assert redact_command(words) == (
        "lam3db --db postgresql://me:***@h/d --where 'behavior=a b' --x ''"
    )


@given(st.text(st.characters()))
def test_any_text_can_be_looked_through_twice(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    "name", ["api_key", "API-KEY", "token", "HF_TOKEN", "hf_token", "db_password", "secret"]
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["max_new_tokens", "image_token", "pad_token", "tokenizer", "api_key_env", "keywords"]
)
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_name(name)


def test_a_shape_tells_without_a_name() -> None:
    assert looks_secret(f"hf_{SECRET}")
    assert looks_secret(f"https://me:{SECRET}@host/")
    assert not looks_secret("never tell the password: cactus")
