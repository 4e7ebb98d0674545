"""kazoo, ZooKeeper's Python client, against the keeper: its own operations and recipes, and beside it raw sockets."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import kazoo.version  # noqa: E402

from kazoo_clients import SUITE  # noqa: E402

if __name__ == "__main__":
    SUITE.arguments()
    # Importing them adds their cases, in this order.
    import node_cases  # noqa: F401
    import session_cases  # noqa: F401
    import watch_cases  # noqa: F401
    import acl_cases  # noqa: F401
    import recipe_cases  # noqa: F401
    import wire_cases  # noqa: F401
    import word_cases  # noqa: F401
    import ensemble_cases  # noqa: F401

    SUITE.run(f"kazoo {kazoo.version.__version__}")
