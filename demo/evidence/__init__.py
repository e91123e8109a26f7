"""What crosses packages of the demo: plain frozen dataclasses, each one a piece of evidence from the wire.

Nothing here does I/O. The agent fills these in from what it saw, the runner checks them, the panels draw them. What
OAuth itself has, requests, metadata, tokens and chains, is in `deputize.evidence`.

- `shop`: what a shop decides, sells and can do
- `grants`: what a human granted and revoked
- `audit`: what is on record afterwards
- `model`: a run of a language model
- `screen`: what the talk itself has on the screen

Units, everywhere: `at`, `expires_at`, `resets_at` and their like are POSIX seconds (float); durations are
seconds (float); money is an integer of minor units with an ISO 4217 currency.
"""
