"""The members of an ensemble: observers, and servers that come and go with `reconfig`, on ensembles that this suite
starts itself; kazoo and ZooKeeper's own command line are the clients."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import kazoo.version  # noqa: E402

from member_servers import SUITE  # noqa: E402

if __name__ == "__main__":
    SUITE.arguments()
    # Importing them adds their cases, in this order.
    import observer_cases  # noqa: F401
    import reconfig_cases  # noqa: F401
    import member_change_cases  # noqa: F401
    import server_number_cases  # noqa: F401

    SUITE.run(f"kazoo {kazoo.version.__version__}", at_end=SUITE.end)
