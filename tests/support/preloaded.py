"""What the processes that are forked for tests have imported: what most of them would import themselves."""

import train.begin
import train.main
import train.trainer  # noqa: F401
