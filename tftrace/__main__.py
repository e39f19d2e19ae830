"""`python -m tftrace`: the command line, where its script is not on the PATH."""

from tftrace.cli import main

main()
