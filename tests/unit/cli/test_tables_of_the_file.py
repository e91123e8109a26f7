"""demo.toml's tables: what a server calls the shop's verbs, who the agent is there, and profiles over both."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.settings import Settings, settle
from deputize.errors import EnvironmentNotReady, UsageError


def settled(tmp_path: Path, text: str, profile: str | None = None) -> Settings:
    file = tmp_path / "demo.toml"
    file.write_text(text)
    return settle({"profile": profile}, {}, file)


def test_a_verb_is_called_what_the_server_calls_it(tmp_path: Path) -> None:
    tools = settled(tmp_path, '[tools]\nlistMcpShopInventory = "list_items"\n').tools
    assert tools.call("listMcpShopInventory", {}) == ("list_items", {})
    assert tools.call("getUserInfo", {}) == ("getUserInfo", {})


def test_arguments_are_renamed_and_left_out(tmp_path: Path) -> None:
    arguments = '{ tshirtSize = "size", company = false }'
    tools = settled(tmp_path, f'[tools]\nbuyMcpShopItem = {{ tool = "buy", arguments = {arguments} }}\n').tools
    given = {"tshirtSize": "M", "company": "Acme", "mailingAddress": "1 Main St"}
    assert tools.call("buyMcpShopItem", given) == ("buy", {"size": "M", "mailingAddress": "1 Main St"})


def test_a_profiles_tables_are_laid_over_key_by_key(tmp_path: Path) -> None:
    text = (
        '[tools]\ngetUserInfo = "me"\nprettyPlease = "please"\n[client]\nid = "a"\nredirect_port = 8000\n'
        '[profiles.other]\nserver = "http://b"\n[profiles.other.tools]\ngetUserInfo = "who"\n'
        '[profiles.other.client]\nid = "b"\n'
    )
    plain, other = settled(tmp_path, text), settled(tmp_path, text, "other")
    assert (plain.tools.name("getUserInfo"), plain.client.id) == ("me", "a")
    assert (other.server, other.tools.name("getUserInfo"), other.tools.name("prettyPlease")) == (
        "http://b",
        "who",
        "please",
    )
    assert (other.client.id, other.client.redirect_port) == ("b", 8000)


def test_a_table_in_a_profile_alone_counts_in_that_profile_alone(tmp_path: Path) -> None:
    text = '[profiles.other.client]\nissuer = "https://authority.example"\n'
    assert settled(tmp_path, text).client.issuer is None
    assert settled(tmp_path, text, "other").client.issuer == "https://authority.example"


@pytest.mark.parametrize("resource", ["none", "api://5f0c", "https://shop.example/mcp", "urn:example:shop"])
def test_what_tokens_are_asked_for_can_be_set_by_profile(tmp_path: Path, resource: str) -> None:
    text = f'[profiles.other.client]\nresource = "{resource}"\n'
    assert settled(tmp_path, text).client.resource is None
    assert settled(tmp_path, text, "other").client.resource == resource


@pytest.mark.parametrize("resource", ["shop", "https://shop.example/#x", "https://a b/", "/mcp", "None", ""])
def test_what_is_no_resource_is_refused(tmp_path: Path, resource: str) -> None:
    with pytest.raises(UsageError, match=r"client\.resource is"):
        settled(tmp_path, f'[client]\nresource = "{resource}"\n')


def test_a_secret_is_read_from_the_variable_that_is_named(tmp_path: Path) -> None:
    client = settled(tmp_path, '[client]\nid = "a"\nsecret_env = "SHOP_SECRET"\n').client
    assert client.secret({"SHOP_SECRET": "s3cret"}) == "s3cret"
    with pytest.raises(EnvironmentNotReady) as refused:
        client.secret({})
    assert "SHOP_SECRET" in refused.value.what
    assert settled(tmp_path, "").client.secret({}) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tools = 3", "demo.toml: tools is no table"),
        ('[tools]\nbuyMcpShopItm = "buy"', "tools.buyMcpShopItm: the talk has no verb"),
        ("[tools]\ngetUserInfo = 3", "tools.getUserInfo is 3"),
        ('[tools]\ngetUserInfo = ""', "tools.getUserInfo.tool is ''"),
        ('[tools]\ngetUserInfo = { tool = "a", args = {} }', "tools.getUserInfo: unknown key 'args'"),
        ("[tools]\nbuyMcpShopItem = { arguments = 3 }", "tools.buyMcpShopItem.arguments is 3"),
        ('[tools]\nbuyMcpShopItem = { arguments = { size = "x" } }', "buyMcpShopItem has no argument 'size'"),
        ("[tools]\nbuyMcpShopItem = { arguments = { company = 3 } }", "arguments.company is 3"),
        ('[tools]\nbuyMcpShopItem.arguments = { company = "x", tshirtSize = "x" }', "two arguments become 'x'"),
        ("client = 3", "demo.toml: client is no table"),
        ('[client]\nsecret = "x"', "client.secret: not here"),
        ('[client]\nname = "x"', "client: unknown key 'name'"),
        ("[client]\nid = 3", "client.id is 3"),
        ("[client]\nredirect_port = 0", "client.redirect_port is 0"),
        ("[client]\nredirect_port = true", "client.redirect_port is True"),
        ('[client]\nid = "a"\nsecret_env = "not a name"', "client.secret_env is no variable's name"),
        ('[client]\nsecret_env = "NAME"', "client.secret_env without an id"),
        ('[client]\nmetadata_url = "http://a.example/x"', "client.metadata_url is"),
        ('[client]\nmetadata_url = "https://a.example"', "client.metadata_url is"),
        ('[client]\nissuer = "javascript:alert(1)"', "client.issuer is"),
        ('[client]\nissuer = "https://user:pass@a.example"', "client.issuer is"),
        ('[client]\nissuer = "https://[bad"', "client.issuer is"),
        ("[profiles.x]\ntools = 3", "demo.toml: tools is no table"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_key(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        settled(tmp_path, text, "x" if "profiles" in text else None)
    assert says in refused.value.what
    assert refused.value.what.startswith("demo.toml: ")
    assert refused.value.do


def test_what_may_be_a_secret_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        settled(tmp_path, '[client]\nid = "a"\nsecret_env = "hunter2 hunter2"\n')
    assert "hunter2" not in refused.value.what + refused.value.why + refused.value.do
