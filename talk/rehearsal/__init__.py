"""The talk against injected faults, unattended: which faults there are, how each is played, and how it went on."""
