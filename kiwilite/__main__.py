"""`python -m kiwilite`."""

import sys

from kiwilite.cli.main import main

sys.exit(main())
