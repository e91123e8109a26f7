"""Where a talk is played: the screen, the keys, and who answers when an agent asks for a grant."""
