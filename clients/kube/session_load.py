"""Writes znodes until standard input ends, and then says in a line of JSON what became of them (kazoo).

A write whose connection broke may be there or not; one that was acknowledged is there, and the
session lives through all restarts.
"""

import argparse
import json
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss, NodeExistsError, SessionExpiredError
from kazoo.retry import KazooRetry

SECONDS_MAX = 60
PAUSE_SECONDS = 0.02


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connect", required=True)
    arguments = parser.parse_args()
    client = KazooClient(
        hosts=arguments.connect,
        timeout=30,
        connection_retry=KazooRetry(max_tries=-1, max_delay=0.5),
    )
    client.start(timeout=SECONDS_MAX)
    client.create("/load")
    client.create("/load/lives", ephemeral=True)
    sessions = {client.client_id[0]}
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    acknowledged, losses, number = set(), 0, 0
    longest, last = 0.0, time.monotonic()
    print("at work", flush=True)
    while not ended.is_set():
        try:
            client.create(f"/load/{number}")
            acknowledged.add(str(number))
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        except NodeExistsError:
            acknowledged.add(str(number))
        except (ConnectionLoss, SessionExpiredError):
            losses += 1
            time.sleep(PAUSE_SECONDS)
            continue
        finally:
            if client.client_id:
                sessions.add(client.client_id[0])
        number += 1
        time.sleep(PAUSE_SECONDS)
    client.sync("/load")
    found = set(client.get_children("/load"))
    lives = "lives" in found
    print(
        json.dumps(
            {
                "acknowledged": len(acknowledged),
                "missing": len(acknowledged - found),
                "connection_losses": losses,
                "sessions": len(sessions) + (0 if lives else 1),
                "longest_gap_ms": round(longest * 1000),
            }
        ),
        flush=True,
    )
    client.stop()


if __name__ == "__main__":
    main()
