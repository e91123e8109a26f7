"""Which model decides, where it is asked, and with which key: by option, environment, demo.toml, in this order.

A key goes nowhere but where it is meant for: that of a vendor's own variable to that vendor, or to the address that the
vendor's own variable names; what was kept, to the address for which it was kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from demo.model.script import Script, load, shipped
from deputize.errors import EnvironmentNotReady, UsageError
from deputize.http.sanitizing import safe_text
from deputize.net import is_loopback
from deputize.tokens.stored import Secret

Api = Literal["openai", "anthropic"]
"""In which shapes an endpoint is asked: OpenAI's Chat Completions, or Anthropic's Messages."""

HOME: Final[Mapping[Api, str]] = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
HERE: Final[Mapping[str, str]] = {
    "ollama": "http://127.0.0.1:11434/v1",
    "lmstudio": "http://127.0.0.1:1234/v1",
    "llamacpp": "http://127.0.0.1:8080/v1",
    "vllm": "http://127.0.0.1:8000/v1",
}
"""Programs that serve a model on this machine, where they listen unless told otherwise; all in OpenAI's shapes."""
SCRIPT: Final = "script"
FORMS: Final = "openai:NAME, anthropic:NAME, ollama:NAME, lmstudio:NAME, llamacpp:NAME, vllm:NAME or script:FILE"
KEY_SLOT: Final = "model-key"
"""Under which name a key is kept for an endpoint."""


@dataclass(frozen=True)
class Endpoint:
    """A model behind an HTTP API.

    Args:
        api: the shapes that it speaks.
        name: the model's name there.
        url: where it is.
        key: what it is asked with; None for one that wants none, as most on this machine.
        kind: which kind of endpoint was named, as `ollama`; the API's where empty.
    """

    api: Api
    name: str
    url: str
    key: Secret | None = None
    kind: str = ""

    @property
    def title(self) -> str:
        """The model as a human named it: `ollama:NAME`, though it is asked as OpenAI's are."""
        return f"{self.kind or self.api}:{self.name}"

    @property
    def origin(self) -> str:
        """Who reads what is asked and what the tools answer."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True)
class Wished:
    """What was said of a model in one place: an option, a variable, a table; all None where nothing was."""

    name: str | None = None
    base_url: str | None = None
    key_env: str | None = None


def ready() -> None:
    """See that a model can be asked at all.

    Raises:
        EnvironmentNotReady: what it takes is not installed.
    """
    missing = [name for name in ("pydantic_ai", "openai", "anthropic") if find_spec(name) is None]
    if missing:
        raise EnvironmentNotReady(
            "no model can decide here",
            why=f"the extra `agent` is not installed (there is no {missing[0]})",
            do="python -m pip install 'machine-identity-demo[agent]', or in a checkout: make talk",
        )


def chosen(
    option: Wished, table: Wished, environ: Mapping[str, str], kept: Callable[[str], str | None]
) -> Endpoint | Script:
    """The model that decides; the script of this package where none was named.

    Args:
        option: what the command line says.
        table: what demo.toml says.
        environ: of which `DEMO_MODEL`, `DEMO_MODEL_BASE_URL` and `DEMO_MODEL_KEY` count, and the vendors' own variables
            for their keys and addresses.
        kept: the key that was kept for an address.

    Raises:
        UsageError: what was named is no model, or its address is none.
        EnvironmentNotReady: it takes a key, and there is none.
    """
    variable = Wished(environ.get("DEMO_MODEL") or None, environ.get("DEMO_MODEL_BASE_URL") or None)
    name = option.name or variable.name or table.name
    base_url = option.base_url or variable.base_url
    if name is None:
        if base_url is not None:
            raise UsageError("a base URL without a model", do=f"add --model: {FORMS}")
        return shipped()
    # A table is taken whole: its address and its key are of the model that it names.
    own = table if not option.name and not variable.name else Wished()
    kind, _, rest = name.partition(":")
    if kind == SCRIPT and rest:
        return load(Path(rest).expanduser())
    if not rest or kind not in (*HOME, *HERE):
        raise UsageError(f"{safe_text(name, one_line=True)!r} names no model", do=f"write {FORMS}")
    api: Api = "anthropic" if kind == "anthropic" else "openai"
    vendor = environ.get(f"{kind.upper()}_BASE_URL") or None if kind in HOME else None
    url = _address(base_url or own.base_url or vendor or HERE.get(kind) or HOME[api])
    # What it names is the key of its own address, and of none that stands elsewhere.
    key = _key(environ, own.key_env if base_url is None else None, kind, url, vendor, kept)
    if key is None and url == HOME[api]:
        raise EnvironmentNotReady(
            f"{urlsplit(url).netloc} wants a key, and there is none",
            why=f"neither DEMO_MODEL_KEY nor {kind.upper()}_API_KEY is set, and none was kept",
            do=f"set {kind.upper()}_API_KEY, or have it kept: demo agent --model {kind}:{rest} --keep-key",
        )
    return Endpoint(api, rest, url, key, kind)


def _key(
    environ: Mapping[str, str],
    named: str | None,
    kind: str,
    url: str,
    vendor: str | None,
    kept: Callable[[str], str | None],
) -> Secret | None:
    places = [named] if named is not None else ["DEMO_MODEL_KEY"]
    if named is None and kind in HOME and url in (HOME[_api(kind)], vendor and vendor.rstrip("/")):
        places.append(f"{kind.upper()}_API_KEY")
    place = next((one for one in places if environ.get(one, "").strip()), None)
    if named is not None and place is None:
        raise EnvironmentNotReady(
            f"the environment variable {named} is not set",
            why="[model] key_env names it as the place of the model's key",
            do=f"set {named}, or take key_env out",
        )
    found = environ[place].strip() if place is not None else kept(url) or ""
    if found and not (found.isascii() and found.isprintable() and " " not in found):
        # What is no key may hold one: it is not repeated.
        where = place or "the keyring"
        raise EnvironmentNotReady(
            f"what {where} holds is no key", why="a key is ASCII without spaces", do="set it again"
        )
    return Secret(found) if found else None


def _api(kind: str) -> Api:
    return "anthropic" if kind == "anthropic" else "openai"


def _address(url: str) -> str:
    """An endpoint's address.

    Raises:
        UsageError: it is none, or what is sent to it could be read on the way.
    """
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    plain = not parts.query and not parts.fragment and "@" not in parts.netloc
    if not host or not secure or not plain or any(sign.isspace() or not sign.isprintable() for sign in url.strip()):
        why = "it must be an https URL (http on this machine only), without credentials, query or fragment"
        # What has a place for a secret is not repeated.
        shown = repr(safe_text(url, one_line=True)) if not set("@?#") & set(url) else "the base URL"
        raise UsageError(f"{shown} is no address of a model", why=why, do="write it as https://HOST/v1")
    return url.strip().rstrip("/")
