"""`python -m seqline.cli`, the same as `seqline`."""

import sys

from seqline.cli import main

sys.exit(main())
