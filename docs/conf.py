"""How Sphinx makes the site of these pages: `make docs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import demo.client
import deputize
from demo import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "demo"
copyright = "MIT licensed"
version = release = __version__
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
suppress_warnings = ["myst.xref_missing"]
"""Links to Markdown outside of these pages (beats, SECURITY.md): `tests/unit/test_documents.py` holds that what a page
links to is there."""
myst_heading_anchors = 3  # so that a link to a heading works here as it does where the Markdown is read

html_theme = "furo"
html_title = "demo: agents, access and the future of machine identity"
html_copy_source = False
html_show_sphinx = False

default_role = "code"  # what docstrings put into single backquotes
autodoc_member_order = "bysource"

for package in (demo.client, deputize):
    for name in package.__all__:  # each is loaded when it is first used; autodoc sees only what is there
        setattr(package, name, getattr(package, name))

COLON, KEPT = ":", "\0"


def setup(app: Sphinx) -> None:
    """Keep Napoleon from taking the words before a colon for a type, in what documents an attribute."""

    def replace(this: str, that: str) -> Any:
        def hook(_app: Sphinx, what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
            if what in ("attribute", "data", "property"):
                lines[:] = [line.replace(this, that) for line in lines]

        return hook

    app.connect("autodoc-process-docstring", replace(COLON, KEPT), priority=499)  # Napoleon's is 500
    app.connect("autodoc-process-docstring", replace(KEPT, COLON), priority=501)
