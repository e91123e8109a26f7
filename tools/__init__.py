"""Programs for whoever maintains this: nothing here is part of what is installed."""
