"""The Cloudflare Workers, shop and agent: their blueprints, the tools that build them, and where they can run.

`blueprint` reads what `worker/wrangler.jsonc` would create; `tools` finds Node and installs what the lock file names;
`wrangler` bundles and deploys; `workerd` runs a Worker on this machine: the shop in `local_worker`, the agent in
`local_agent`. Nothing of Cloudflare's is hand-written here:
every step is wrangler's own command, bounded and cleaned up after.
"""
