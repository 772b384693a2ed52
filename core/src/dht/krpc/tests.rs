use super::*;
use crate::bencode::Fault;
use alloc::vec;

const ID: &[u8; 20] = b"abcdefghij0123456789";

fn query(query: Query) -> Message {
    Message {
        transaction: b"aa".to_vec(),
        body: Body::Query(NodeId(*ID), query),
        read_only: false,
        ip: None,
    }
}

#[test]
fn the_examples_of_bep_5() {
    let target = NodeId(*b"mnopqrstuvwxyz123456");
    let table: [(&[u8], Message); 4] = [
        (
            b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
            query(Query::Ping),
        ),
        (
            b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
            query(Query::FindNode(target, Want::default())),
        ),
        (
            b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
            query(Query::GetPeers(SwarmKey(target.0), Want::default())),
        ),
        (
            b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe\
              1:q13:announce_peer1:t2:aa1:y1:qe",
            query(Query::Announce(Announce {
                swarm: SwarmKey(target.0),
                port: None,
                token: b"aoeusnth".to_vec(),
            })),
        ),
    ];
    for (bytes, message) in table {
        assert_eq!(Message::decode(bytes).as_ref(), Ok(&message));
        assert_eq!(Message::decode(&message.encode()), Ok(message));
    }
    let error = Message::decode(b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee").unwrap();
    assert_eq!(error.body, Body::Error(GENERIC));
    let found =
        Message::decode(b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re");
    let Body::Response(response) = found.unwrap().body else {
        panic!()
    };
    assert_eq!(response.values.len(), 2);
    assert_eq!(response.token.as_deref(), Some(&b"aoeusnth"[..]));
}

#[test]
fn answers_round_trip_with_both_families() {
    let contact = |address: &str| Contact {
        id: NodeId(*ID),
        address: address.parse().unwrap(),
    };
    let message = Message {
        transaction: vec![1, 2, 3],
        body: Body::Response(Response {
            id: NodeId([9; 20]),
            nodes: vec![contact("1.2.3.4:5"), contact("[2001:db8::2]:7")],
            values: vec!["9.8.7.6:1".parse().unwrap(), "[2001:db8::9]:2".parse().unwrap()],
            token: Some(vec![7; 8]),
        }),
        read_only: false,
        ip: Some("5.6.7.8:99".parse().unwrap()),
    };
    assert_eq!(Message::decode(&message.encode()), Ok(message));
    let mut asked = query(Query::FindNode(NodeId([1; 20]), Want { v4: true, v6: true }));
    asked.read_only = true;
    assert_eq!(Message::decode(&asked.encode()), Ok(asked));
}

#[test]
fn of_giant_answers_little_is_kept() {
    let response = Response {
        id: NodeId(*ID),
        nodes: vec![
            Contact {
                id: NodeId([3; 20]),
                address: "1.2.3.4:5".parse().unwrap(),
            };
            60
        ],
        values: vec!["9.8.7.6:1".parse().unwrap(); 250],
        token: Some(vec![1; 65]),
    };
    let message = Message {
        transaction: vec![1],
        body: Body::Response(response),
        read_only: false,
        ip: None,
    };
    let Body::Response(read) = Message::decode(&message.encode()).unwrap().body else {
        panic!()
    };
    assert_eq!((read.nodes.len(), read.values.len()), (MAX_NODES, MAX_VALUES));
    assert_eq!(read.token, None);
}

#[test]
fn unknown_questions_about_a_point_are_find_node() {
    let sample =
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q17:sample_infohashes1:t2:aa1:y1:qe";
    let read = Message::decode(sample).unwrap();
    assert_eq!(
        read.body,
        Body::Query(NodeId(*ID), Query::Unknown(NodeId(*b"mnopqrstuvwxyz123456")))
    );
    let odd = b"d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t2:aa1:y1:qe";
    assert_eq!(Message::decode(odd), Err(KrpcError::Method));
    assert_eq!(transaction_of_query(odd), Some(b"aa".to_vec()));
}

#[test]
fn malformed_messages_are_refused() {
    let field = KrpcError::Field;
    let table: [(&[u8], KrpcError); 14] = [
        (
            b"",
            KrpcError::Bencode(BencodeError {
                offset: 0,
                fault: Fault::Expected("a value", None),
            }),
        ),
        (
            b"d1:t2:aa1:y1:q",
            KrpcError::Bencode(BencodeError {
                offset: 14,
                fault: Fault::Expected("a key or 'e'", None),
            }),
        ),
        (b"le", field("a dictionary")),
        (b"de", field("t")),
        (b"d1:ti5e1:y1:qe", field("t")),
        (b"d1:t21:aaaaaaaaaaaaaaaaaaaaa1:y1:qe", field("t")),
        (b"d1:t2:aae", field("y")),
        (b"d1:t2:aa1:y1:xe", field("y")),
        (b"d1:q4:ping1:t2:aa1:y1:qe", field("a")),
        (b"d1:ade1:q4:ping1:t2:aa1:y1:qe", field("id")),
        (b"d1:ad2:id19:abcdefghij012345678e1:q4:ping1:t2:aa1:y1:qe", field("id")),
        (
            b"d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t2:aa1:y1:qe",
            field("target"),
        ),
        (
            b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti65536e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe",
            field("port"),
        ),
        (b"d1:rle1:t2:aa1:y1:re", field("r")),
    ];
    for (bytes, error) in table {
        assert_eq!(Message::decode(bytes), Err(error), "{}", bytes.escape_ascii());
    }
    let long = vec![b'd'; MAX_DATAGRAM + 1];
    assert_eq!(Message::decode(&long), Err(KrpcError::Long(MAX_DATAGRAM + 1)));
    // Odd lists of an answer are read as far as they go.
    let odd = b"d1:rd2:id20:abcdefghij01234567895:nodes27:aaaaaaaaaaaaaaaaaaaaaaaaaaa6:valuesl3:abci5eee1:t2:aa1:y1:re";
    let Body::Response(read) = Message::decode(odd).unwrap().body else {
        panic!()
    };
    assert_eq!((read.nodes.len(), read.values.len()), (1, 0));
}
