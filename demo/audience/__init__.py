"""The room: a page for the audience of a talk, and *be the human*, in a process of its own.

It reads the recording of the performance and nothing else of the presenter's. The attendees have an authorization
server and a shop of their own, with accounts made for them, in a folder of their own: no token, quota or order of the
talk is there. Phones reach its pages; the endpoints for agents are on loopback, for the agents that run here.
"""
