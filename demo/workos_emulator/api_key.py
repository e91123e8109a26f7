"""The API key of this authority's WorkOS API: made once, told to whoever may read the state folder.

It is as good as an admin: with it every session can be ended. WorkOS keeps it in its dashboard; here it lies in
`workos.json` beside the database, for the owner of the folder alone.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from demo.auth_server.state.store import Store

from .shapes import CLIENT_ID, ORGANIZATION

FILE = "workos.json"
PREFIX = "sk_local_"


def settle_api_key(store: Store, folder: Path) -> str:
    """The key, made when there is none; `workos.json` in `folder` says it, with the client and organization ids.

    The database is what counts. The file is written anew at each start, so that one from another world cannot stay.

    Raises:
        OSError: the file cannot be written.
    """
    with store.transaction() as connection:
        row = connection.execute("SELECT api_key FROM authority_workos_key").fetchone()
        key = PREFIX + secrets.token_urlsafe(32) if row is None else str(row["api_key"])
        if row is None:
            connection.execute("INSERT INTO authority_workos_key (api_key) VALUES (?)", (key,))
    told = {"api_key": key, "client_id": CLIENT_ID, "organization_id": ORGANIZATION}
    part = folder / f"{FILE}.{secrets.token_hex(4)}.part"
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(told, file)
    part.replace(folder / FILE)
    return key
