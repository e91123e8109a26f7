"""An authorization server, for a warehouse to believe."""

from tests.unit.auth_server.conftest import clock, house, make_house

__all__ = ["clock", "house", "make_house"]
