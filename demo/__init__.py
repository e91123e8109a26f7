"""The instrument that plays a talk on machine identity: an agent, a shop, an authority, and panels of evidence."""

__version__ = "0.1.0"
