"""The entry point of `python cli.py …`; the command line itself is in pipeline/cli.py."""

from pipeline.cli import cli

if __name__ == "__main__":
    cli()
