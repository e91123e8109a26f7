"""The command line: thin commands that parse, call one function, render and exit."""
