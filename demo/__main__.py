"""`python -m demo`."""

from demo.cli.main import main

main()
