"""Which model is chosen, and to whom a key goes: to the address that it is meant for, and to no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.model.choosing import Endpoint, Wished, chosen
from demo.settings import settle
from deputize.errors import EnvironmentNotReady, ExplainedError, UsageError

VENDOR = {"OPENAI_API_KEY": "vendor-key", "ANTHROPIC_API_KEY": "other-key"}
HOME = "https://api.openai.com/v1"
NOTHING = Wished()


def endpoint(option: Wished = NOTHING, table: Wished = NOTHING, **environ: str) -> Endpoint:
    found = chosen(option, table, environ, lambda url: f"kept-for-{url}" if "kept" in url else None)
    assert isinstance(found, Endpoint)
    return found


def key(option: Wished = NOTHING, table: Wished = NOTHING, **environ: str) -> str | None:
    found = endpoint(option, table, **environ).key
    return found.value if found is not None else None


def test_nothing_is_asked_because_a_key_happens_to_be_there() -> None:
    assert not isinstance(chosen(NOTHING, NOTHING, VENDOR, lambda url: "kept"), Endpoint)


def test_an_option_beats_the_environment_and_that_the_file() -> None:
    table, environ = Wished("ollama:file"), {"DEMO_MODEL": "ollama:variable"}
    assert endpoint(Wished("ollama:option"), table, **environ).name == "option"
    assert endpoint(NOTHING, table, **environ).name == "variable"
    assert endpoint(NOTHING, table).name == "file"


@pytest.mark.parametrize(
    ("name", "api", "url"),
    [
        ("openai:a", "openai", HOME),
        ("anthropic:a:b", "anthropic", "https://api.anthropic.com"),
        ("ollama:qwen3:4b", "openai", "http://127.0.0.1:11434/v1"),
        ("lmstudio:a", "openai", "http://127.0.0.1:1234/v1"),
    ],
)
def test_a_name_says_where_a_model_is_and_how_it_is_asked(name: str, api: str, url: str) -> None:
    found = endpoint(Wished(name), **VENDOR)
    assert (found.api, found.name, found.url) == (api, name.partition(":")[2], url)
    assert found.title == name, "the screen says what was named, whichever shapes it is asked in"


@pytest.mark.parametrize(
    ("option", "table", "environ", "sent"),
    [
        (Wished("openai:a"), NOTHING, VENDOR, "vendor-key"),
        (Wished("anthropic:a"), NOTHING, VENDOR, "other-key"),
        (Wished("openai:a"), NOTHING, VENDOR | {"DEMO_MODEL_KEY": "own"}, "own"),
        # The vendor's own variables mean each other.
        (Wished("openai:a"), NOTHING, VENDOR | {"OPENAI_BASE_URL": "https://proxy.example/v1/"}, "vendor-key"),
        # To any other address a vendor's key does not go.
        (Wished("openai:a", "https://elsewhere.example/v1"), NOTHING, VENDOR, None),
        (Wished("ollama:a"), NOTHING, VENDOR, None),
        (NOTHING, Wished("openai:a", "https://elsewhere.example/v1"), VENDOR, None),
        (NOTHING, Wished("openai:a"), VENDOR | {"DEMO_MODEL_BASE_URL": "https://elsewhere.example/v1"}, None),
        (Wished("anthropic:a"), NOTHING, {"OPENAI_API_KEY": "vendor-key", "DEMO_MODEL_KEY": "own"}, "own"),
        # A variable that the file names is the key of the file's address, and of none that was named elsewhere.
        (NOTHING, Wished("openai:a", "https://own.example/v1", "MINE"), {"MINE": "mine"}, "mine"),
        (Wished(None, "https://else.example"), Wished("openai:a", "https://own.example", "MINE"), {"MINE": "m"}, None),
        (Wished("openai:b", "https://else.example"), Wished("openai:a", None, "MINE"), {"MINE": "mine"}, None),
        (Wished("openai:a", "https://kept.example/v1"), NOTHING, VENDOR, "kept-for-https://kept.example/v1"),
    ],
)
def test_a_key_goes_where_it_is_meant_for(
    option: Wished, table: Wished, environ: dict[str, str], sent: str | None
) -> None:
    assert key(option, table, **environ) == sent


@pytest.mark.parametrize(
    ("option", "environ", "kind"),
    [
        (Wished("openai:a"), {}, EnvironmentNotReady),
        (Wished("openai:a"), {"OPENAI_API_KEY": "two words"}, EnvironmentNotReady),
        (Wished("openai:a"), {"OPENAI_API_KEY": "line\nbreak"}, EnvironmentNotReady),
        (Wished("gpt-5"), VENDOR, UsageError),
        (Wished("openai:"), VENDOR, UsageError),
        (Wished("nobody:a"), VENDOR, UsageError),
        (Wished("script:/nowhere/at-all.toml"), {}, UsageError),
        (Wished(None, "https://elsewhere.example"), {}, UsageError),
        (Wished("openai:a", "http://elsewhere.example/v1"), {}, UsageError),
        (Wished("openai:a", "https://user:secret@elsewhere.example"), {}, UsageError),
        (Wished("openai:a", "https://elsewhere.example/?key=secret"), {}, UsageError),
        (Wished("openai:a", "https://[::1"), {}, UsageError),
        (Wished("openai:a", "ftp://127.0.0.1"), {}, UsageError),
        (Wished("openai:a", "https://a.example/\x1b[2J"), {}, UsageError),
    ],
)
def test_what_is_no_model_is_said_without_a_secret(
    option: Wished, environ: dict[str, str], kind: type[ExplainedError]
) -> None:
    with pytest.raises(kind) as caught:
        chosen(option, NOTHING, environ, lambda _: None)
    said = f"{caught.value.what} {caught.value.why} {caught.value.do}"
    assert caught.value.do and not any(word in said for word in ("secret", "two words", "break", "\x1b"))


@pytest.mark.parametrize(
    "table",
    [
        'key = "sk-secret"',
        'api_key = "sk-secret"',
        'name = "openai:a"\nkey_env = "sk-secret-value"',
        'name = "openai:a"\nkey_env = 3',
        'base_url = "https://a.example"',
        'name = "openai:a"\nother = 1',
    ],
)
def test_a_key_has_no_place_in_the_file(tmp_path: Path, table: str) -> None:
    file = tmp_path / "demo.toml"
    file.write_text(f"[model]\n{table}\n", "utf-8")
    with pytest.raises(UsageError) as caught:
        settle({}, {}, file)
    assert "secret" not in f"{caught.value.what} {caught.value.why}".replace("is no secret", "").replace(
        "the key itself", ""
    )


def test_a_file_that_names_a_model_counts_once_somebody_trusts_it(tmp_path: Path) -> None:
    file = tmp_path / "demo.toml"
    file.write_text('[profiles.mine.model]\nname = "openai:a"\nbase_url = "https://evil.example/v1"\n', "utf-8")
    asked: list[Path] = []

    def nobody(file: Path, content: bytes) -> bool:
        asked.append(file)
        return False

    assert settle({}, {}, file, trusted=nobody).model.name is None and not asked  # in no profile that was chosen
    with pytest.raises(EnvironmentNotReady, match=r"demo\.toml is not trusted") as caught:
        settle({"profile": "mine"}, {}, file, trusted=nobody)
    assert "evil.example" in caught.value.why
    assert settle({"profile": "mine"}, {}, file, trusted=lambda *_: True).model.name == "openai:a"
