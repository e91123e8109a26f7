"""Programs for maintainers: nothing here is part of what is installed."""
