//! The API: what it answers, and to whom.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::relay::Relay;
use crate::torrent::Sample;

fn code(answer: (u16, Vec<u8>)) -> (u16, String) {
    let body: Value = serde_json::from_slice(&answer.1).unwrap();
    (answer.0, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_torrent_is_added_once() {
    let (relay, sample) = (Relay::start(&[]), Sample::new(100_000, 1));
    let hash = sample.swarm().to_string();
    let magnet = json!({"magnet": format!("magnet:?xt=urn:btih:{hash}")});
    assert_eq!(
        relay.json("POST /api/torrents", &magnet),
        (201, json!({"info_hash": hash}))
    );
    assert_eq!(relay.json("POST /api/torrents", &magnet).0, 200);
    let path = format!("GET /api/torrents/{hash}");
    assert_eq!(relay.json(&path, &Value::Null).1["state"], "metadata");
    // The metainfo of what was a magnet: nothing is to be asked of peers any more.
    let torrent = json!({"torrent": STANDARD.encode(sample.torrent())});
    assert_eq!(relay.json("POST /api/torrents", &torrent).0, 200);
    crate::relay::eventually("the metainfo is known", || {
        let shown = relay.json(&path, &Value::Null).1;
        (shown["name"] == "sample" && shown["length"] == 100_000).then_some(())
    });
    assert_eq!(relay.stats()["torrents"], 1);
    assert_eq!(relay.json(&format!("DELETE /api/torrents/{hash}"), &Value::Null).0, 200);
    assert_eq!(relay.json(&path, &Value::Null).0, 404);
}

#[test]
fn a_torrent_is_paused_and_goes_on() {
    let (relay, sample) = (Relay::start(&[]), Sample::new(100_000, 1));
    let torrent = json!({"torrent": STANDARD.encode(sample.torrent())});
    assert_eq!(relay.json("POST /api/torrents", &torrent).0, 201);
    let path = format!("/api/torrents/{}", sample.swarm());
    let pause = format!("POST {path}/pause");
    for (paused, expected) in [(true, "paused"), (false, "bridging")] {
        let answer = json!({"paused": paused});
        assert_eq!(relay.json(&pause, &answer), (200, answer));
        crate::relay::eventually(expected, || {
            let shown = relay.json(&format!("GET {path}"), &Value::Null).1;
            (shown["state"] == expected).then_some(())
        });
    }
    assert_eq!(code(relay.ask(&pause, &[], "{}")), (400, "bad-request".into()));
    assert_eq!(
        code(relay.ask(&format!("PUT {path}/pause"), &[], "")),
        (405, "method".into())
    );
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let relay = Relay::start(&[]);
    for (body, expected) in [
        ("{", "bad-json"),
        ("{}", "bad-request"),
        (r#"{"magnet":"magnet:?xt=urn:btih:00"}"#, "bad-magnet"),
        (r#"{"torrent":"!"}"#, "bad-base64"),
        (r#"{"torrent":"ZGU="}"#, "bad-metainfo"),
    ] {
        assert_eq!(
            code(relay.ask("POST /api/torrents", &[], body)),
            (400, expected.into()),
            "{body}"
        );
    }
    assert_eq!(code(relay.get("/api/torrents/xyz")), (400, "bad-hash".into()));
    assert_eq!(code(relay.get("/api/nothing")), (404, "not-found".into()));
    assert_eq!(code(relay.ask("PUT /api/torrents", &[], "")), (405, "method".into()));
}

#[test]
fn the_list_and_off_refuse_by_policy() {
    let (allowed, other) = ("ab".repeat(20), "cd".repeat(20));
    let add = |relay: &Relay, hash: &str| {
        let (status, answer) = relay.json("POST /api/torrents", &json!({"info_hash": hash}));
        (status, answer["error"]["code"].as_str().map(str::to_owned))
    };
    let relay = Relay::start(&["--bridge", "list", "--allow", &allowed]);
    assert_eq!(add(&relay, &allowed).0, 201);
    assert_eq!(add(&relay, &other), (403, Some("not-allowed".into())));
    let relay = Relay::start(&["--bridge", "off"]);
    assert_eq!(add(&relay, &allowed), (403, Some("not-allowed".into())));
}

#[test]
fn without_allow_local_the_api_takes_a_token_and_local_peers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start_in(folder.path(), &[]);
    for path in ["/api/torrents", "/stats.json", "/metrics", "/stats"] {
        assert_eq!(code(relay.get(path)), (401, "unauthorised".into()), "{path}");
    }
    let token = std::fs::read_to_string(folder.path().join("token")).unwrap();
    let bearer = format!("Authorization: Bearer {token}");
    let hash = "01".repeat(20);
    assert_eq!(relay.ask("GET /stats.json", &[&bearer], "").0, 200);
    assert_eq!(
        relay
            .ask(
                "POST /api/torrents",
                &[&bearer],
                &json!({"info_hash": hash}).to_string()
            )
            .0,
        201
    );
    let peers = json!({"peers": ["127.0.0.1:6881", "10.0.0.1:6881", "not-a-peer"]}).to_string();
    let (status, body) = relay.ask(&format!("POST /api/torrents/{hash}/peers"), &[&bearer], &peers);
    assert_eq!(
        (status, serde_json::from_slice::<Value>(&body).unwrap()),
        (200, json!({"accepted": 0, "refused": 3}))
    );
    // What our own page asks for its visitor, anyone may by /wire; the list of all is not among it.
    let page = "Sec-Fetch-Site: same-origin";
    assert_eq!(relay.ask(&format!("GET /api/torrents/{hash}"), &[page], "").0, 200);
    assert_eq!(relay.ask("GET /api/torrents", &[page], "").0, 401);
}

#[test]
fn foreign_pages_and_foreign_names_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let strict = Relay::start_in(folder.path(), &[]);
    assert_eq!(
        code(strict.ask("GET /", &["Host: rebound.example"], "")),
        (421, "host".into())
    );
    let relay = Relay::start(&[]);
    assert_eq!(relay.ask("GET /health", &["Host: rebound.example"], "").0, 200);
    assert_eq!(
        code(relay.ask("GET /stats.json", &["Host: rebound.example"], "")),
        (421, "host".into())
    );
    assert_eq!(relay.ask("GET /stats.json", &["Host: 127.0.3.4:99"], "").0, 200);
    assert_eq!(
        relay.ask("GET /stats.json", &["Origin: http://127.0.9.1:5000"], "").0,
        200
    );
    assert_eq!(
        code(relay.ask("GET /api/torrents", &["Origin: https://evil.example"], "")),
        (403, "origin".into())
    );
}

#[test]
fn numbers_have_every_field_of_the_contract() {
    let relay = Relay::start(&["--cache", "16MiB"]);
    let stats = relay.stats();
    for field in [
        "torrents",
        "swarms",
        "swarm_peers",
        "peers_web",
        "peers_wire",
        "peers_native",
        "bytes_native_in",
        "bytes_native_out",
        "bytes_web_in",
        "bytes_web_out",
        "cache_bytes",
        "hash_failures",
        "panics",
    ] {
        assert_eq!(stats[field], 0, "{field}");
    }
    assert_eq!(stats["cache_limit"], 16 << 20);
    assert!(stats["rss_bytes"].as_u64().unwrap() > 1 << 20 && stats["uptime_s"].as_f64().unwrap() > 0.0);
    let metrics = String::from_utf8(relay.get("/metrics").1).unwrap();
    assert!(metrics.contains("# TYPE tombolo_bytes_web_out_total counter\n"));
}
