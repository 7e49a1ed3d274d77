"""`python -m innerloop`: the same as the command `innerloop`."""

import sys

from innerloop.cli.main import main

sys.exit(main())
