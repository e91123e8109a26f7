"""What the authorization server says of itself, and its key."""

from __future__ import annotations

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from demo.auth_server.context import AuthorizationServerConfig
from demo.auth_server.routes import create_authorization_server
from demo.auth_server.state.keys import PUBLISHED_SECONDS, SigningKeys
from demo.auth_server.state.store import Store
from tests.conftest import HANGS


def test_both_discovery_documents_name_this_issuer_and_only_endpoints_that_answer(house):
    document = house.http.get("/.well-known/oauth-authorization-server").json()
    assert document == house.http.get("/.well-known/openid-configuration").json()
    assert document["issuer"] == house.base
    assert document["response_types_supported"] == ["code"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["client_id_metadata_document_supported"] is True
    assert document["token_endpoint_auth_methods_supported"] == [
        "none",
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
    ]
    assert document["token_endpoint_auth_signing_alg_values_supported"] == ["ES256"]
    assert document["authorization_details_types_supported"] == ["shop_spending", "shop_purchase"]
    assert document["grant_types_supported"] == [
        "urn:ietf:params:oauth:grant-type:device_code",
        "authorization_code",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ]
    for name, url in document.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert httpx2.post(url, verify=False).status_code != 404, name


def test_access_and_id_tokens_verify_against_the_published_key(house):
    keys = house.http.get("/oauth2/jwks").json()
    assert "d" not in keys["keys"][0] and keys["keys"][0]["alg"] == "ES256"
    token = house.login(authorization_details=house.spending())
    found = jwt.decode(token["access_token"], KeySet.import_key_set(keys), algorithms=["ES256"])
    assert found.header["typ"] == "at+jwt"
    assert found.header["kid"] == keys["keys"][0]["kid"]
    told = jwt.decode(token["id_token"], KeySet.import_key_set(keys), algorithms=["ES256"])
    assert (told.claims["aud"], told.claims["email"]) == ("demo-agent", "alice@example.com")
    assert house.introspect(token["id_token"]) == {"active": False}


def test_key_and_sessions_survive_a_restart(make_house):
    with make_house() as house:
        keys = house.http.get("/oauth2/jwks").json()
        token = house.login()
    with make_house() as house:
        assert house.http.get("/oauth2/jwks").json() == keys
        assert house.introspect(token["access_token"])["active"] is True
        assert house.refresh(token["refresh_token"]).status_code == 200
    with make_house("another.db") as house:
        assert house.http.get("/oauth2/jwks").json() != keys


def test_no_token_or_code_lies_in_the_state_file_and_only_its_owner_reads_it(house):
    asked = house.ask().json()
    house.browser().decide(asked["user_code"])
    token = house.redeem(asked["device_code"]).json()
    kept = b"".join(path.read_bytes() for path in house.database.parent.glob("state.db*"))
    assert b"oauth_refresh_tokens" in kept
    for secret in (asked["device_code"], asked["user_code"], token["access_token"], token["refresh_token"]):
        assert secret.encode() not in kept
    assert stat.S_IMODE(house.database.stat().st_mode) == 0o600


def test_an_issuer_in_the_clear_is_loopback_only(tmp_path):
    wrong = ("http://shop.example", "http://127.0.0.1:1/", "ftp://127.0.0.1")
    no_loopback_here = (
        "http://a.localhost:1",
        "http://localhost.:1",
        "http://127.0.0.2:1",
        "http://[::ffff:127.0.0.1]:1",
    )
    for issuer in (*wrong, *no_loopback_here):
        with pytest.raises(ValueError, match="issuer"):
            create_authorization_server(AuthorizationServerConfig(issuer, tmp_path / "x.db", (), ("a", "b")))


def test_importing_the_package_is_light():
    heavy = {"authlib", "starlette", "jinja2"}
    script = f"import sys, demo.auth_server; print({{m.split('.')[0] for m in sys.modules}} & {heavy})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=HANGS, check=True)
    assert done.stdout.strip() == "set()"


def test_several_that_start_at_once_on_a_new_file_sign_with_one_key(tmp_path):
    """SQLite refuses one of two that turn its write-ahead log on at once, so one time is not enough."""
    with ThreadPoolExecutor(6) as pool:
        for number in range(30):
            file = tmp_path / f"shared-{number}.db"
            keys = list(
                pool.map(lambda _, file=file: SigningKeys.load(Store(file), lambda: 0.0).jwks()["keys"], range(6))
            )
            assert all(key == keys[0] for key in keys)


def test_a_new_key_signs_at_once_and_the_old_one_is_published_until_what_it_signed_has_expired(tmp_path):
    now = [1000.0]
    keys = SigningKeys.load(Store(tmp_path / "one.db"), lambda: now[0])
    elsewhere = SigningKeys.load(Store(tmp_path / "one.db"), lambda: now[0])
    old = elsewhere.sign({"n": 1}, typ="at+jwt")
    (first,) = keys.jwks()["keys"]
    now[0] += 7200
    keys.rotate()
    new = elsewhere.sign({"n": 2}, typ="at+jwt")
    assert [key["kid"] for key in elsewhere.jwks()["keys"]][1:] == [first["kid"]]
    assert all("d" not in key for key in elsewhere.jwks()["keys"]), "private halves stay here"
    assert [keys.read(token, typ="at+jwt") for token in (old, new)] == [{"n": 1}, {"n": 2}]
    now[0] += PUBLISHED_SECONDS
    assert [key["kid"] for key in elsewhere.jwks()["keys"]] == [keys.jwks()["keys"][0]["kid"]] != [first["kid"]]
    assert [keys.read(token, typ="at+jwt") for token in (old, new)] == [None, {"n": 2}]


def test_a_key_that_is_withdrawn_is_nobodys_at_once(tmp_path):
    keys = SigningKeys.load(Store(tmp_path / "one.db"), lambda: 0.0)
    old = keys.sign({"n": 1}, typ="at+jwt")
    keys.rotate(withdraw=True)
    assert len(keys.jwks()["keys"]) == 1
    assert keys.read(old, typ="at+jwt") is None
    assert keys.read(keys.sign({"n": 2}, typ="at+jwt"), typ="at+jwt") == {"n": 2}
