"""`python -m pipelines.cli`, the same as `seqline`."""

import sys

from pipelines.cli import main

sys.exit(main())
