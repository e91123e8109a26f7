"""The instrument that plays a talk on machine identity: agent, shop, authorization server, and panels of evidence."""

__version__ = "0.1.0"
