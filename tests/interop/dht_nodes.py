"""Many libtorrent sessions that are only nodes of a DHT on loopback.

Arguments: how many, and `host:port` of the node to begin with. Twice a second {"least": nodes} tells how many nodes the session
that knows fewest has in its table. A session that knows too few asks the first node again: its one question at the start may have
been lost, and libtorrent by itself repeats it only after a long while.
"""

import json
import sys
import time

import libtorrent as lt

FEW = 8
AGAIN = 5


def main():
    count, bootstrap = int(sys.argv[1]), sys.argv[2]
    sessions = [lt.session({
        "listen_interfaces": "127.0.0.1:0",
        "enable_dht": True,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "dht_bootstrap_nodes": bootstrap,
        "dht_restrict_routing_ips": False,
        "dht_restrict_search_ips": False,
        "dht_ignore_dark_internet": False,
        "dht_enforce_node_id": False,
        "dht_prefer_verified_node_ids": False,
        # All nodes share one address here, which libtorrent would shut out for five minutes after 50 datagrams in 10 s.
        "dht_block_ratelimit": 1_000_000,
        "alert_mask": 0,
    }) for _ in range(count)]
    host, port = bootstrap.rsplit(":", 1)
    asked = time.monotonic()
    while True:
        known = [session.status().dht_nodes for session in sessions]
        print(json.dumps({"least": min(known)}), flush=True)
        if time.monotonic() - asked > AGAIN:
            asked = time.monotonic()
            for session, nodes in zip(sessions, known):
                if nodes < FEW:
                    session.add_dht_node((host, int(port)))
        time.sleep(0.5)


main()
