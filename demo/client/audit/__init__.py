"""The audit trail as its reader verifies it: chains and signed checkpoints (docs/wire.md, "The audit trail")."""
