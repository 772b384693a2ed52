//! Two endpoints on loopback.

use bytes::Bytes;

use super::*;

pub(super) fn endpoint() -> Rtc {
    let options = Options {
        allow_local: true,
        ..Options::default()
    };
    Rtc::bind(&["127.0.0.1:0".parse().unwrap()], options).unwrap()
}

pub(super) async fn pair(a: &Rtc, b: &Rtc) -> (Channel, Channel) {
    let offer = a.offer("test").await.unwrap();
    let (theirs, answer) = b.answer(offer.sdp()).await.unwrap();
    let ours = offer.accept(&answer).await.unwrap();
    let (ours, theirs) = tokio::join!(ours.open(), theirs.open());
    (ours.unwrap(), theirs.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_cross() {
    let (a, b) = (endpoint(), endpoint());
    let (ours, theirs) = pair(&a, &b).await;
    ours.send(vec![Bytes::from_static(b"hello")]).await.unwrap();
    assert_eq!(theirs.recv().await.unwrap(), &b"hello"[..]);
}
