"""OAuth clients: registered ones (RFC 7591), clients known by a metadata document, and how they authenticate."""
