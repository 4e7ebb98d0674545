"""TLS on the clients' port and between servers, and the scheme x509: kazoo, ZooKeeper's own command line and bare
sockets on ensembles that this suite starts with keys of its own."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import kazoo.version  # noqa: E402

from tls_servers import SUITE  # noqa: E402

if __name__ == "__main__":
    SUITE.arguments()
    # Importing them adds their cases, in this order.
    import tls_cases  # noqa: F401
    import x509_cases  # noqa: F401
    import quorum_tls_cases  # noqa: F401

    SUITE.run(f"kazoo {kazoo.version.__version__}", at_end=SUITE.end)
