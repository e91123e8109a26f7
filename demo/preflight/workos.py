"""WorkOS behind a server: the key, the AuthKit domain, and what AuthKit must know before its tokens name the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from demo.errors import advice
from demo.preflight import Finding
from demo.settings import Settings
from deputize.errors import ExplainedError

if TYPE_CHECKING:
    from demo.client.capabilities import Survey
    from demo.client.workos.tenant import Tenant
    from deputize.evidence import AuthorizationServerMetadata, ResourceMetadata

SECONDS = 10.0
_REGISTER = "demo workos prepare; or add it in the dashboard: Connect, Configuration, MCP resource indicators"


def examine_workos(settings: Settings, environ: Mapping[str, str], seen: Survey | None) -> list[Finding]:
    """One finding each: the API key, the authorization server, the resource, permissions, the token held, the console.

    Nothing is changed. Empty where no `[workos]` table is in demo.toml.

    Args:
        seen: what a look at the server gave, None where there is none.
    """
    if not settings.workos.used:
        return []
    if settings.server is None or seen is None:
        return [
            Finding("bad", "WorkOS", "no server is named", "set server = the deployed shop's /mcp URL in demo.toml")
        ]
    if seen.anonymous is None:
        return [Finding("bad", "AuthKit", seen.failure("endpoint"), "check --server and the network")]
    resource, metadata = seen.resource, seen.authorization_server
    problem = next((one.problem for one in (resource, metadata) if one is not None and one.problem is not None), None)
    if problem is not None:
        return [Finding("bad", "AuthKit", problem, "fix the deployed shop's addresses: demo deploy")]
    if metadata is None:
        why = seen.failure("metadata") or "the server names no authorization server"
        return [Finding("bad", "AuthKit", why, "deploy the shop's protected door (demo deploy)")]
    named = resource.resource if resource is not None else seen.endpoint
    return [
        _issuer(settings, metadata),
        *_scopes(resource, metadata),
        *_environment(settings, environ, named),
        _token(settings, settings.server, named),
        _console(settings, settings.server),
    ]


def _issuer(settings: Settings, metadata: AuthorizationServerMetadata) -> Finding:
    wanted = settings.workos.authkit
    if metadata.issuer.rstrip("/") != wanted:
        return Finding(
            "bad",
            "AuthKit",
            f"the server trusts {metadata.issuer}, demo.toml says {wanted}",
            "deploy the shop with your AuthKit domain (demo deploy --issuer), or fix workos.authkit",
        )
    ways = {
        "a client ID metadata document": metadata.client_id_metadata_documents,
        "dynamic registration": metadata.registration_endpoint is not None,
    }
    if not any(ways.values()) and settings.client.id is None:
        fix = "dashboard: Connect, Configuration, turn on CIMD or DCR; or name your Connect application in [client] id"
        return Finding("bad", "AuthKit", f"{metadata.issuer} lets no client make itself known", fix)
    by = next((way for way, there in ways.items() if there), "the client named in demo.toml")
    return Finding("ok", "AuthKit", f"{metadata.issuer}, clients by {by}")


def _scopes(resource: ResourceMetadata | None, metadata: AuthorizationServerMetadata) -> list[Finding]:
    """Whether the authorization server can grant what the shop asks for; AuthKit has scopes for the login only."""
    wanted = resource.scopes_supported if resource is not None else ()
    granted = metadata.scopes_supported
    if not wanted or not granted:
        return []
    if not set(wanted) & set(granted):
        detail = f"the shop asks for {wanted[0]}, and {metadata.issuer} grants {', '.join(granted)} only"
        return [Finding("bad", "scopes", detail, f"demo deploy --issuer {metadata.issuer} --scopes-from role")]
    return [Finding("ok", "scopes", "the authorization server grants what the shop asks for")]


def _environment(settings: Settings, environ: Mapping[str, str], named: str) -> list[Finding]:
    from demo.client.workos.environment import Environment
    from demo.client.workos.tenant import Tenant

    try:
        environment = Environment.of_account(settings.workos, settings.state, environ)
        return [_resource(tenant := Tenant(environment, timeout=SECONDS), named), _prepared(tenant)]
    except ExplainedError as error:
        return [Finding("bad", "WorkOS API", _told(error), advice(error))]


def _resource(tenant: Tenant, named: str) -> Finding:
    from demo.client.workos.preparing import resources

    known = resources(tenant)
    if named in known:
        return Finding("ok", "audience", f"AuthKit puts {named} into aud")
    near = next((one for one in known if one.rstrip("/") == named.rstrip("/")), None)
    detail = f"AuthKit knows {near}, not {named}" if near else f"AuthKit does not know {named}: it is not put into aud"
    return Finding("bad", "audience", detail, _REGISTER)


def _prepared(tenant: Tenant) -> Finding:
    from demo.client.workos.audit import ORDER_PLACED
    from demo.client.workos.preparing import SCOPES, audit_actions, permissions

    missing = [f"permission {slug}" for slug in SCOPES if slug not in permissions(tenant)]
    if ORDER_PLACED not in audit_actions(tenant):
        missing.append(f"audit log schema {ORDER_PLACED}")
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return Finding("warn", "WorkOS API", f"{missing[0]}{more} missing", "demo workos prepare")
    return Finding("ok", "WorkOS API", "permissions and the audit log's schema are there")


def _token(settings: Settings, server: str, named: str) -> Finding:
    """Whether the token held is for this server: one with another audience is refused there, and must be."""
    from demo.client.agent import Agent
    from demo.logins import token_store
    from deputize.tokens.claims import take_apart

    held = Agent(server, store=token_store(settings.state, server=server)).stored()
    jwt = None if held is None else take_apart(held.access_token)
    if held is None:
        return Finding("skip", "token", "nobody has logged in yet: demo login")
    if jwt is None:
        return Finding("warn", "token", "it is opaque: the shop takes signed ones only", "demo logout, then demo login")
    aud = jwt.claims.get("aud")
    audiences = [one for one in (aud if isinstance(aud, list) else [aud]) if isinstance(one, str)]
    if named in audiences:
        return Finding("ok", "token", f"its audience is {named}")
    shown = ", ".join(audiences) or "nobody"
    fix = f"{_REGISTER}; then demo logout, demo login"
    return Finding("bad", "token", f"its audience is {shown}; {named} refuses it", fix)


def _console(settings: Settings, server: str) -> Finding:
    """Whether the human can read the audit log and revoke at the shop itself."""
    from demo.logins import token_store

    if settings.workos.console is None:
        detail = "none: the audit log is not read, and nothing is revoked, at the shop itself"
        return Finding("skip", "console", detail, "name its Connect application in workos.console")
    if token_store(settings.state, server=server).get("console") is None:
        return Finding("warn", "console", "the human has not signed in at it", "demo login --console")
    return Finding("ok", "console", f"signed in, as {settings.workos.console}")


def _told(error: ExplainedError) -> str:
    return f"{error.what}: {error.why}" if error.why else error.what
