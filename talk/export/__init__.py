"""A recording written out: asciicast, one HTML page, pictures, a transcript, JSON. Nothing is played for it."""
