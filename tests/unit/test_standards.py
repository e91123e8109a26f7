"""The page on standards has every section of the framework that asks for something, and what each row names is there.

That its paths exist is `test_documents`'.
"""

from __future__ import annotations

import re
import tomllib

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "standards.md"
SECTIONS = (
    "6 Agent Identifier",
    "7 Agent Credentials",
    "8 Agent Credential Provisioning",
    "9.1 Transport Layer Authentication",
    "9.2 Application Layer Authentication",
    "10.1 Agent Mission",
    "10.2 Leverage OAuth 2.0 as a Delegation Authorization Framework",
    "10.3 Use of OAuth 2.0 Access Tokens",
    "10.4.1 User Delegates Authorization",
    "10.4.2 Agent Obtains Own Authorization",
    "10.4.3 Agents Accessed by Systems or Other Agents",
    "10.4.4 OAuth 2.0 Security Best Practices",
    "10.5 Risk Reduction with Transaction Tokens",
    "10.6 Cross Domain Access",
    "10.7 Human in the Loop",
    "10.8 Tool-to-Service Access",
    "10.9 Privacy Considerations",
    "10.10.1 Authorization Server Capability Discovery",
    "10.10.2 Protected Resource Capability Discovery",
    "10.10.3 Client Capability Discovery",
    "11 Agent Monitoring, Observability and Remediation",
    "12 Agent Authentication and Authorization Policy",
    "13 Agent Compliance",
)
"""The headings of draft-klrc-aiagent-auth-03, sections 6 to 13, as its table of contents has them."""


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]]


def test_every_section_has_its_row() -> None:
    assert tuple(row[0] for row in rows()) == SECTIONS


def test_a_row_shows_it_in_code_or_says_why_not() -> None:
    for section, asks, beat, _, code, missing in rows():
        assert asks, section
        assert "`" in code or missing.startswith("All of it"), section
        assert not beat or code, f"{section}: a beat shows it, by no code"


def test_its_beats_are_played_in_a_plan() -> None:
    plans = [tomllib.loads(path.read_text("utf-8")) for path in (ROOT / "talk" / "plans").glob("*.toml")]
    planned = {name for plan in plans for name in plan.get("encores", [])}
    planned |= {beat["id"] for plan in plans for section in plan["sections"] for beat in section["beats"]}
    linked = {name for row in rows() for name in re.findall(r"\]\(\.\./talk/beats/([\w-]+)\.md\)", row[2])}
    assert linked and linked <= planned
