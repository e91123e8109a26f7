"""The shop as a Cloudflare Worker: its blueprint, the tools that build it, and the two places where it can run.

`blueprint` reads what `worker/wrangler.jsonc` would create; `tools` finds Node and installs what the lock file names;
`wrangler` bundles and deploys; `workerd` runs the Worker on this machine. Nothing of Cloudflare's is hand-written here:
every step is wrangler's own command, bounded and cleaned up after.
"""
