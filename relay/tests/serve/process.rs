//! How a relay starts and ends.

use std::net::TcpListener;

use crate::relay::Relay;

#[test]
fn signals_end_it_with_their_status() {
    for (signal, status) in [("TERM", 0), ("INT", 130)] {
        let mut relay = Relay::start(&[]);
        relay.json("POST /api/torrents", &serde_json::json!({"info_hash": "01".repeat(20)}));
        relay.signal(signal);
        assert_eq!(relay.wait().code(), Some(status), "{signal}");
    }
}

#[test]
fn an_address_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    for flag in ["--listen", "--tcp"] {
        let mut relay = Relay::spawn(folder.path(), &[flag, &address]);
        assert_eq!(relay.line()["error"]["code"], "address-in-use", "{flag}");
        assert_eq!(relay.wait().code(), Some(1));
    }
}

#[test]
fn an_unusable_folder_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let mut relay = Relay::spawn(&file, &[]);
    assert!(relay.line()["error"]["code"].is_string());
    assert_eq!(relay.wait().code(), Some(1));
}

#[test]
fn listeners_that_are_off_are_null() {
    let relay = Relay::start(&["--udp", "off", "--rtc", "off", "--tcp", "off"]);
    for kind in ["udp", "rtc", "tcp"] {
        assert!(
            relay.ready[kind].is_null() && relay.ready["all"][kind] == serde_json::json!([]),
            "{kind}"
        );
    }
    assert_eq!(relay.get("/health").0, 200);
}

#[test]
fn listeners_are_told_in_the_order_of_their_flags() {
    let relay = Relay::start(&["--listen", "127.0.0.2:0", "--listen", "127.0.0.1:0"]);
    let all = relay.ready["all"]["http"].as_array().unwrap();
    assert!(all[0].as_str().unwrap().starts_with("127.0.0.2:") && all[1].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(relay.ready["http"], all[0]);
}
