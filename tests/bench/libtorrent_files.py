"""Checks content against a torrent, or makes a torrent, with libtorrent.

    check TORRENT DIR            ends when every piece has been hashed; status 1 if one is wrong
    create FILE OUT PIECE_LENGTH a v1 torrent
"""

import os
import sys
import time

import libtorrent as lt


def check(torrent, folder):
    threads = len(os.sched_getaffinity(0))
    session = lt.session({
        "listen_interfaces": "127.0.0.1:0",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "hashing_threads": threads,
        "aio_threads": threads,
        "alert_mask": lt.alert.category_t.status_notification,
    })
    parameters = lt.load_torrent_file(torrent)
    parameters.save_path = folder
    parameters.flags &= ~lt.torrent_flags.auto_managed
    parameters.flags &= ~lt.torrent_flags.paused
    handle = session.add_torrent(parameters)
    while "checking" in str(handle.status().state):
        session.wait_for_alert(20)
        session.pop_alerts()
    # It is no part of the work to say good-bye.
    os._exit(0 if handle.status().is_seeding else 1)


def create(file, out, piece_length):
    storage = lt.file_storage()
    lt.add_files(storage, file)
    torrent = lt.create_torrent(storage, int(piece_length), lt.create_torrent.v1_only)
    lt.set_piece_hashes(torrent, os.path.dirname(file))
    with open(out, "wb") as target:
        target.write(lt.bencode(torrent.generate()))


{"check": check, "create": create}[sys.argv[1]](*sys.argv[2:])
