"""A libtorrent session under control of a test.

The only argument is a JSON object; the answers are JSON lines on stdout:

    torrent    path of a .torrent, or `magnet` with a link
    dir        where the content is or goes
    transport  "tcp" or "utp" (listens on loopback) or "rtc" (data channels, met through WebSocket trackers)
    encryption true: RC4 alone, both ways (optional)
    trackers   list of addresses (optional)
    dht        `host:port` of the node of a DHT to begin with (optional)
    listen     `address:port` to listen at instead of a free port of 127.0.0.1 (optional)
    lie        true: upload what is in `dir` without looking at it, whatever its hashes are (optional)

First {"ready": port}, then {"done", "total", "uploaded", "peers", "state"} five times a second or more often and {"finished": true} once.
A line {"connect": [host, port]} on stdin makes it dial.
"""

import json
import sys
import threading
import time

import libtorrent as lt


ALERTS = lt.alert.category_t.error_notification | lt.alert.category_t.tracker_notification | lt.alert.category_t.status_notification


def session_for(options):
    tcp = options.get("transport", "tcp") == "tcp"
    utp = options.get("transport") == "utp"
    forced = options.get("encryption", False)
    policy = lt.enc_policy.forced if forced else lt.enc_policy.enabled
    return lt.session({
        "listen_interfaces": options.get("listen", "127.0.0.1:0"),
        "enable_dht": "dht" in options,
        "dht_bootstrap_nodes": options.get("dht", ""),
        "dht_restrict_routing_ips": False,
        "dht_restrict_search_ips": False,
        "dht_ignore_dark_internet": False,
        "dht_enforce_node_id": False,
        "dht_prefer_verified_node_ids": False,
        # Every node here has the one address.
        "dht_block_ratelimit": 1_000_000,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_outgoing_tcp": tcp,
        "enable_incoming_tcp": tcp,
        "enable_outgoing_utp": utp,
        "enable_incoming_utp": utp,
        "in_enc_policy": int(policy),
        "out_enc_policy": int(policy),
        "allowed_enc_level": int(lt.enc_level.rc4 if forced else lt.enc_level.both),
        "webtorrent_stun_server": "",
        "allow_multiple_connections_per_ip": True,
        "disable_hash_checks": options.get("lie", False),
        "min_reconnect_time": 1,
        "alert_mask": ALERTS,
    })


def parameters_for(options):
    if "magnet" in options:
        parameters = lt.parse_magnet_uri(options["magnet"])
    else:
        parameters = lt.load_torrent_file(options["torrent"])
    parameters.save_path = options["dir"]
    parameters.trackers = options.get("trackers", [])
    if options.get("lie"):
        parameters.flags |= lt.torrent_flags.seed_mode
    parameters.flags &= ~lt.torrent_flags.auto_managed
    parameters.flags &= ~lt.torrent_flags.paused
    return parameters


def say(value):
    print(json.dumps(value), flush=True)


def obey(handle):
    for line in sys.stdin:
        handle.connect_peer(tuple(json.loads(line)["connect"]))


def main():
    options = json.loads(sys.argv[1])
    session = session_for(options)
    handle = session.add_torrent(parameters_for(options))
    waiting = (lt.torrent_status.checking_files, lt.torrent_status.checking_resume_data)
    while handle.status().state in waiting:
        time.sleep(0.02)
    say({"ready": session.listen_port()})
    threading.Thread(target=obey, args=(handle,), daemon=True).start()
    finished = False
    asked = time.monotonic()
    while True:
        for alert in session.pop_alerts():
            print(alert, file=sys.stderr, flush=True)
        status = handle.status()
        say({
            "done": status.total_wanted_done,
            "total": status.total_wanted,
            "uploaded": status.total_payload_upload,
            "peers": status.num_peers,
            "state": str(status.state),
        })
        if "dht" in options and status.num_peers == 0 and time.monotonic() - asked > 3:
            # By itself it asks again after a quarter of an hour, and it may have asked before anybody announced.
            asked = time.monotonic()
            handle.force_dht_announce()
        if status.is_seeding and not finished:
            finished = True
            say({"finished": True})
        session.wait_for_alert(200)


main()
