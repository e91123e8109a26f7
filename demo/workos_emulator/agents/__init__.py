"""`agents`: an identity of the agent's own. A blueprint is a ceiling of permissions; an instance is the agent that one
human (or nobody) has by it; a session bounds its tokens; a registration is an agent that came from outside."""
