"""HTTP as the agent speaks it: a transport that records, bounded fetches, redaction, sanitizing, origins."""
