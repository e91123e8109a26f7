"""Whether and where to a process is traced: by OpenTelemetry's own variables, or to a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_STARTS: Final = ("OTEL_EXPORTER_OTLP_", "OTEL_TRACES_", "OTEL_BSP_", "OTEL_SPAN_", "OTEL_ATTRIBUTE_")
_ALSO: Final = frozenset({"OTEL_RESOURCE_ATTRIBUTES", "OTEL_PROPAGATORS", "OTEL_SDK_DISABLED"})
_WHERE: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@dataclass(frozen=True)
class Wanted:
    """Where spans go: over OTLP, as `variables` say (opentelemetry.io/docs/specs/otel/configuration/sdk-environment-
    variables and .../protocol/exporter), to a file, or both."""

    otlp: bool = False
    file: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """A collector's key may be among them."""

    def told(self) -> str:
        """It as text, for a process that is started; not for its arguments or its environment, which others may see."""
        file = None if self.file is None else str(self.file)
        return json.dumps({"otlp": self.otlp, "file": file, "variables": dict(self.variables)}, sort_keys=True)

    @property
    def mark(self) -> str:
        """Tells whether two processes are traced alike, and nothing of how."""
        return hashlib.sha256(self.told().encode()).hexdigest()[:16]


def read(told: str) -> Wanted:
    """What `Wanted.told` made."""
    given: dict[str, Any] = json.loads(told)
    file = given["file"]
    return Wanted(bool(given["otlp"]), None if file is None else Path(file), given["variables"])


def by_environment(environ: Mapping[str, str], file: Path | None = None) -> Wanted | None:
    """What the environment asks for, and a file beside; None where neither asks for anything.

    An empty variable is not set (OpenTelemetry, environment variable specification). `OTEL_SDK_DISABLED` turns off what
    the other variables ask for; a file was asked for by itself.
    """
    given = {name: value.strip() for name, value in environ.items() if value.strip() and name.startswith("OTEL_")}
    exporters = {one.strip().lower() for one in given.get("OTEL_TRACES_EXPORTER", "").split(",")}
    disabled = given.get("OTEL_SDK_DISABLED", "").lower() == "true" or "none" in exporters
    otlp = not disabled and ("otlp" in exporters or any(name in given for name in _WHERE))
    if not otlp and file is None:
        return None
    kept = {name: value for name, value in given.items() if name in _ALSO or name.startswith(_STARTS)}
    kept.pop("OTEL_SDK_DISABLED", None)
    return Wanted(otlp, None if file is None else file.absolute(), kept)
