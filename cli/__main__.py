"""`python -m cli` is `babelcast`."""

from cli.main import app

app(prog_name="babelcast")
