"""`python -m stingless` is the command `stingless`."""

import sys

from stingless.cli import main

sys.exit(main())
