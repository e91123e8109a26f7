"""Steps about an agent's own identity by WorkOS: blueprint (a pass is minted), validate (asked live, and its end)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.evidence.grants import PermissionView
from demo.evidence.screen import Comparison
from deputize.errors import AuthorizationRefused
from talk.playing.kind import Contradiction, Kind, Option, Step
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from demo.client.workos.agents import AgentIdentity, AgentPass, Validity
    from deputize.evidence import TokenView


def blueprint(step: Step, scene: Scene) -> Played:
    """A blueprint as the ceiling, and a pass for the agent that acts for the human: ceiling and role, intersected."""
    from demo.client.workos.agents import AgentIdentity
    from demo.client.workos.people import People
    from demo.client.workos.preparing import ensure_permissions, role_permissions

    tenant, console = scene.cast.humans.tenant(), scene.cast.humans.console()
    name, ceiling, wished = (step.options[option] for option in ("name", "ceiling", "wishes"))
    ensure_permissions(tenant, {slug: slug for slug in ceiling})
    identity = AgentIdentity.ensure(tenant, name=name, permissions=ceiling)
    held = _passed(identity, scene)
    scene.cast.passes[name] = (identity, held)
    seen, people = identity.view(held), People(tenant)
    person = people.get(seen.claim("act.sub") or "")
    role = people.role(person.id)
    granted = role_permissions(tenant, role) if role is not None else frozenset()
    chain = identity.chain(held, human=person.email, agent=name)
    rows = tuple(
        PermissionView(slug, slug in wished, slug in ceiling, slug in granted, slug in chain.scopes)
        for slug in dict.fromkeys((*wished, *ceiling, *chain.scopes))
    )
    owner = console.agent.view(console.agent.token()).claim("sub")
    observed: dict[str, Any] = {
        "human": person.email,
        "same_user": chain.human_id == owner,
        "agent_in_sub": chain.agent == held.instance == seen.claim("sub"),
        "verified": seen.signature is not None and not seen.problems,
        "role": role or "",
        "permissions": sorted(chain.scopes),
        "left_out": sorted(set(wished) - set(chain.scopes)),
        "beyond": sum(one.held and not (one.ceiling and one.role) for one in rows),
        "withheld": sum(one.ceiling and one.role and not one.held for one in rows),
    }
    return Played(
        observed,
        {
            "permissions": lambda: panels.permissions(rows, blueprint=name, role=role or "no role"),
            "chain": lambda: panels.chain(chain),
        },
    )


def _passed(identity: AgentIdentity, scene: Scene) -> AgentPass:
    """A pass on the human's own session. Where they signed in too long ago for that, they sign in again."""
    from demo.client.workos.tenant import WorkOSRefused

    console = scene.cast.humans.console()
    try:
        return identity.deputize(console.agent.token().access_token)
    except WorkOSRefused as refused:
        if refused.code not in ("max_age_exceeded", "user_session_ended"):
            raise
        scene.stage.note(f"the human signs in again at their own console: {refused.code}")
        console.sign_in(scene.cast.humans.human())
        return identity.deputize(console.agent.token().access_token)


def validate(step: Step, scene: Scene) -> Played:
    """Ask the keys and ask WorkOS, live, whether a pass holds; with `revoke` before and after its session's end."""
    scene.cast.humans.tenant()
    scene.cast.humans.console()  # where one of the two is missing, no pass was minted either, and that is the reason
    name = step.options["blueprint"]
    if name not in scene.cast.passes:
        raise AuthorizationRefused(
            f"{name} holds no pass",
            why="it is kept in the memory of the process that minted it, and this is another",
            do="play the beat from its beginning: demo again",
        )
    identity, held = scene.cast.passes[name]
    before = identity.view(held), identity.validate(held.access_token)
    if not step.options["revoke"]:
        return Played(_observe(*before))
    identity.revoke(held.session)
    del scene.cast.passes[name]
    after = identity.view(held), identity.validate(held.access_token)
    rows = (
        ("its signature", _by_keys(before[0]), _by_keys(after[0])),
        ("WorkOS, live", _live(before[1]), _live(after[1])),
        ("its human", before[1].human or "not told", after[1].human or "not told"),
    )
    known = after[0].signature is not None and not after[0].problems
    shown = Comparison(
        "Its session is revoked: what the keys say, and what WorkOS says",
        rows,
        "The keys cannot know of a revocation. Ask WorkOS, each time." if known and not after[1].valid else "",
    )
    observed = _observe(*after) | {"before": before[1].valid}
    return Played(observed, {"comparison": lambda: panels.comparison(shown)})


def _observe(seen: TokenView, asked: Validity) -> dict[str, Any]:
    return {
        "signature": seen.signature is not None and not seen.problems,
        "valid": asked.valid,
        "why": asked.why,
        "human": asked.human or "",
        "permissions": sorted(asked.permissions),
    }


def _by_keys(seen: TokenView) -> str:
    if seen.signature is None:
        return "not verified"
    return seen.problems[0] if seen.problems else "verified"


def _live(asked: Validity) -> str:
    return "valid" if asked.valid else asked.why


BLUEPRINT = Kind(
    "blueprint",
    "A WorkOS agent blueprint with `ceiling`, and a pass by it for the human; `wishes` is what it would like.",
    blueprint,
    {"name": Option(required=True), "ceiling": Option(list, required=True), "wishes": Option(list, default=())},
    {
        "human": str,
        "same_user": bool,
        "agent_in_sub": bool,
        "verified": bool,
        "role": str,
        "permissions": list,
        "left_out": list,
        "beyond": int,
        "withheld": int,
    },
    ("permissions", "chain"),
)


def _contradictions(_: Mapping[str, Any], step: Step) -> Iterator[Contradiction]:
    if "before" in step.expect and not step.options["revoke"]:
        what = "before without revoke = true: there is no before"
        yield Contradiction(("expect", "before"), what, "write revoke = true, or leave it out")


VALIDATE = Kind(
    "validate",
    "Ask WorkOS live whether the pass of `blueprint` holds, and the keys; `revoke` ends its session between.",
    validate,
    {"blueprint": Option(required=True), "revoke": Option(bool, default=False)},
    {"before": bool, "valid": bool, "why": str, "signature": bool, "human": str, "permissions": list},
    ("comparison",),
    contradictions=_contradictions,
)
