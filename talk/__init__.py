"""The talk as data, and the runner that plays it."""
