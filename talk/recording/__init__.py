"""A performance as it was seen: append-only JSON lines, which second screens follow, and which can be played again.

The file is the only tie between a performance and who follows it: a follower reads, and nothing waits for it. Panels
are kept as the evidence that they draw, so that a take fits any screen.
"""
