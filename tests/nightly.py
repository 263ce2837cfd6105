"""Whether this is the nightly run, `make nightly`, which looks further than the tests of a change."""

import os

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
