"""The suite's client scenarios about authority: each by what our agent does.

The suite's authorization servers ask no human anything: the "browser" is a thread that follows redirects, in the end
to the agent's own listener on this machine.
"""

from __future__ import annotations

import tempfile
import threading
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from demo.client import Agent
from deputize import TokenStore
from deputize.oauth.browser_flow import BROWSER
from deputize.oauth.machine_flow import IdentityProvider, TokenRequest
from deputize.tokens.identity import ClientIdentity
from deputize.tokens.stored import StoredToken

Scenario = Callable[[str, dict[str, Any]], None]

METADATA_DOCUMENT = "https://conformance-test.local/client-metadata.json"
"""What the suite calls the document of the client under test; it is not fetched."""


def in_the_browser(url: str, context: dict[str, Any]) -> None:
    """List the tools and call one, logging in whenever the server asks for it."""
    _use(_agent(url))


def by_document(url: str, context: dict[str, Any]) -> None:
    """The same as a client that has a metadata document."""
    _use(_agent(url, metadata_url=METADATA_DOCUMENT))


def by_hand(url: str, context: dict[str, Any]) -> None:
    """The same as a client that is pre-registered, at the authority that this server turns out to have."""
    issuer = _agent(url).authorization_server().issuer
    method = "client_secret_basic"
    _use(
        _agent(
            url,
            identity=ClientIdentity(
                context["client_id"], secret=context["client_secret"], method=method, issuer=issuer
            ),
        )
    )


def by_secret(url: str, context: dict[str, Any]) -> None:
    """With no human: the client's own secret (RFC 6749 section 4.4)."""
    issuer = _agent(url).authorization_server().issuer
    identity = ClientIdentity(
        context["client_id"], secret=context["client_secret"], method="client_secret_basic", issuer=issuer
    )
    _use_as_machine(_agent(url, identity=identity), TokenRequest())


def by_key(url: str, context: dict[str, Any]) -> None:
    """With no human: an assertion signed with the client's own key (RFC 7523 section 2.2)."""
    issuer = _agent(url).authorization_server().issuer
    identity = ClientIdentity(
        context["client_id"],
        private_key=context["private_key_pem"],
        algorithm=context["signing_algorithm"],
        method="private_key_jwt",
        issuer=issuer,
    )
    _use_as_machine(_agent(url, identity=identity), TokenRequest())


def by_workload(url: str, context: dict[str, Any]) -> None:
    """With no human: an assertion that the workload's platform has signed (RFC 7523 section 2.1)."""
    identity = ClientIdentity(context["client_id"])
    _use_as_machine(_agent(url, identity=identity), TokenRequest(assertion=context["valid_jwt"]))


def by_employer(url: str, context: dict[str, Any]) -> None:
    """By the ID token of the employer's identity provider, exchanged for an assertion (RFC 8693)."""
    issuer = _agent(url).authorization_server().issuer
    identity = ClientIdentity(
        context["client_id"], secret=context["client_secret"], method="client_secret_basic", issuer=issuer
    )
    idp = IdentityProvider(
        token_endpoint=context["idp_token_endpoint"],
        issuer=context["idp_issuer"],
        client_id=context["idp_client_id"],
        id_token=context["idp_id_token"],
    )
    _use_as_machine(_agent(url, identity=identity), TokenRequest(idp=idp))


def _agent(url: str, **given: Any) -> Agent:
    store = TokenStore.open(Path(tempfile.mkdtemp(prefix="conformance-")), server=url, use_keyring=False)
    return Agent(url, store=store, client_id=None, **given)


def _use(agent: Agent) -> None:
    def obtain(scopes: tuple[str, ...]) -> StoredToken:
        login = agent.start_login(scopes, BROWSER)
        threading.Thread(target=_browse, args=(login.url,), daemon=True).start()
        return agent.finish_login(login, timeout=20.0)

    listed = agent.tools(obtain=obtain)
    for tool in listed.tools[:1]:
        agent.call(tool.name, {}, obtain=obtain)


def _use_as_machine(agent: Agent, request: TokenRequest) -> None:
    def obtain(scopes: tuple[str, ...]) -> StoredToken:
        return agent.authorizer.by_machine(request, scopes)

    listed = agent.tools(obtain=obtain)
    assert listed.status == 200, listed
    for tool in listed.tools[:1]:
        assert agent.call(tool.name, {}, obtain=obtain).allowed


def _browse(url: str) -> None:
    with suppress(OSError):  # the agent says how a login ends, not the page
        urllib.request.urlopen(url, timeout=20.0).close()


_IN_THE_BROWSER = (
    "metadata-default metadata-var1 metadata-var2 metadata-var3 2025-03-26-oauth-metadata-backcompat "
    "2025-03-26-oauth-endpoint-fallback scope-from-www-authenticate scope-from-scopes-supported "
    "scope-omitted-when-undefined scope-step-up scope-retry-limit token-endpoint-auth-basic token-endpoint-auth-post "
    "token-endpoint-auth-none resource-mismatch offline-access-scope offline-access-not-supported "
    "authorization-server-migration iss-supported iss-not-advertised iss-supported-missing iss-wrong-issuer "
    "iss-unexpected iss-normalized metadata-issuer-mismatch dpop dpop-nonce"
)

AUTH: dict[str, Scenario] = {
    **{f"auth/{name}": in_the_browser for name in _IN_THE_BROWSER.split()},
    "auth/basic-cimd": by_document,
    "auth/pre-registration": by_hand,
    "auth/client-credentials-basic": by_secret,
    "auth/client-credentials-jwt": by_key,
    "auth/wif-jwt-bearer": by_workload,
    "auth/enterprise-managed-authorization": by_employer,
}
"""By the suite's name of the scenario."""
