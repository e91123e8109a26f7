"""The grants (OAuth 2.1): what may be asked for, and the tokens that are issued for it."""
