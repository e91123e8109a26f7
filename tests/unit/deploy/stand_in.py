"""Stands in for wrangler, which wants Node and an account: it takes wrangler's command line and writes what wrangler
writes for machines. `behave.json` beside it says how; `calls.jsonl` is what it was asked, with what came on stdin."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

here = Path(__file__).parent
behave = json.loads((here / "behave.json").read_text("utf-8"))
arguments = sys.argv[1:]
command = " ".join(word for word in arguments[:2] if not word.startswith("-"))
given = sys.stdin.read() if arguments[:2] == ["secret", "put"] else ""
with (here / "calls.jsonl").open("a", encoding="utf-8") as calls:
    kept = {name: os.environ.get(name, "") for name in ("CI", "WRANGLER_SEND_METRICS")}
    calls.write(json.dumps({"argv": arguments, "stdin": given, "environment": kept, "pid": os.getpid()}) + "\n")
told = behave.get(command.split(" ")[0], {})
time.sleep(told.get("sleep", 0))
if "fails" in told:
    sys.stderr.write(told["fails"])
    sys.exit(1)
if command == "whoami":
    sys.stdout.write(json.dumps(told["says"]))
    sys.exit(0 if told["says"]["loggedIn"] else 1)
if arguments[:2] == ["secret", "list"]:
    sys.stdout.write(json.dumps(told.get("list", [])))
elif "--dry-run" in arguments:
    folder = Path(arguments[arguments.index("--outdir") + 1])
    (folder / "worker.js").write_text("x" * 2048, "utf-8")
    (folder / "README.md").write_text("no code", "utf-8")
elif command == "deploy":
    entry = {"type": "deploy", "version": 1, "worker_name": "shop", "version_id": "v-1", "targets": told["targets"]}
    Path(os.environ["WRANGLER_OUTPUT_FILE_PATH"]).write_text(
        f"{json.dumps({'type': 'wrangler-session'})}\n{json.dumps(entry)}\n", "utf-8"
    )
