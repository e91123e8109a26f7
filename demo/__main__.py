"""`python -m demo`, and the command `demo`."""


def main() -> None:
    """Run the command line. Never returns."""
    try:
        from demo.cli.main import main as run

        run()
    except KeyboardInterrupt:  # so early or so late that `run` does not see to it: while Python imports, say
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
