"""WorkOS's API at the local server: what `WorkOSClient(base_url=...)` asks for here, answered in WorkOS's shapes.

The calls that the demo uses, and no more; docs/going-live.md lists them. What they answer is the authorization server's
own state (accounts, sessions, revocations), or what was put in through the API itself. JSON fields are those of the
models in WorkOS's Python SDK 10.8; error codes those of WorkOS's own emulator, where the SDK does not say.
"""
