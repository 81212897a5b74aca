"""``python -m lam3db``: the command line, where no ``lam3db`` script is installed."""

from lam3db.cli import main

main()
