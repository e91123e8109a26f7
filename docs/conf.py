"""How Sphinx makes the site of these pages: `make docs`."""

from demo import __version__

project = "demo"
copyright = "MIT licensed"
version = release = __version__
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3  # so that a link to a heading works here as it does where the Markdown is read
myst_enable_extensions = ["attrs_inline"]

html_theme = "furo"
html_title = "demo: agents, access and the future of machine identity"
html_copy_source = False
html_show_sphinx = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
