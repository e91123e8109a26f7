"""The presenter's second screen: where the talk is, what to say, how late it is, and a remote control for the stage.

It reads what a performance writes (its recording, its run), and all that it writes is the remote control's file:
whether a second screen is slow, killed or not there, the stage never knows.
"""
