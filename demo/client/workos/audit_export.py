"""What an audit log has on record, read back out of its export.

The columns are those of the local authority. WorkOS documents that an export is a CSV file and not what its columns
are, so an account's export is not read here.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from demo.client.http.fetch import fetch
from demo.client.http.sanitizing import safe_text
from demo.client.workos.audit import ANONYMOUS
from demo.client.workos.refused import not_workos
from demo.client.workos.tenant import Tenant

if TYPE_CHECKING:
    from demo.client.http.fetch import Answer

_COLUMNS = {"actor_type", "actor_id", "targets", "metadata"}


@dataclass(frozen=True)
class OrderOnRecord:
    """An order as the audit log has it. `audit_id` is the shop's own of the decision; `actor` the human's id, None
    where it was told that nobody is known; `agent` and `consent` are None where no such target was told."""

    audit_id: str
    order: str
    actor: str | None
    agent: str | None
    consent: str | None


def read_export(tenant: Tenant, link: str) -> tuple[OrderOnRecord, ...]:
    """The orders in the export behind `link`, oldest first.

    Raises:
        ServerUnreachable: nothing comes of the link, or something else than an export.
    """
    # Whoever has the link can read the log as long as it is good.
    tenant.recorder.guard(*(value for name, value in parse_qsl(urlsplit(link).query) if name == "signature"))
    answer: Answer = tenant.http(
        lambda http: fetch(http, "GET", link, server=tenant.environment.base_url, headers={"accept": "text/csv"})
    )
    if answer.status != 200:
        raise not_workos(tenant.environment.base_url, f"the link of its export answers HTTP {answer.status}")
    rows = csv.DictReader(io.StringIO(answer.text))
    try:
        if missing := _COLUMNS - set(rows.fieldnames or ()):  # a table without rows must be one, too
            raise KeyError(min(missing))
        return tuple(map(_order, rows))
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise not_workos(tenant.environment.base_url, f"its export is in another form: {error}") from None


def _order(row: Mapping[str, str]) -> OrderOnRecord:
    targets = {
        str(target["type"]): safe_text(str(target["id"]), one_line=True) for target in json.loads(row["targets"])
    }
    return OrderOnRecord(
        audit_id=safe_text(str(json.loads(row["metadata"])["audit_id"]), one_line=True),
        order=targets["order"],
        actor=None if row["actor_type"] == ANONYMOUS else safe_text(row["actor_id"], one_line=True),
        agent=targets.get("agent"),
        consent=targets.get("consent"),
    )
