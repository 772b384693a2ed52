"""Many libtorrent sessions that are only nodes of a DHT on loopback.

Arguments: how many, and `host:port` of the node to begin with. Twice a second {"least": nodes} tells how many nodes the session
that knows fewest has in its table.
"""

import json
import sys
import time

import libtorrent as lt


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
        "alert_mask": 0,
    }) for _ in range(count)]
    while True:
        least = min(session.status().dht_nodes for session in sessions)
        print(json.dumps({"least": least}), flush=True)
        time.sleep(0.5)


main()
