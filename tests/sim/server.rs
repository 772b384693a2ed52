//! A web server that has the files of a torrent (BEP 19) or hands out its pieces (BEP 17).

use bytes::Bytes;
use tombolo_core::event::Refused;
use tombolo_core::time::Time;

use super::Content;

/// The most bytes that come at once.
const CHUNK: usize = 64 * 1024;

/// A server.
pub struct Server {
    /// Its URL: of a folder that ends in `/`, or of a script of BEP 17.
    pub url: String,
    /// The bytes a second that it sends.
    pub rate: u64,
    /// It flips the bits of that byte of the torrent, and of those at this distance from it.
    pub corrupt: Option<(usize, usize)>,
    /// What it says to the first requests instead of sending something.
    pub refusals: Vec<Refused>,
    /// It says yes and sends nothing.
    pub mute: bool,
    /// What it was asked for: URL, first byte and length.
    pub asked: Vec<(String, Option<u64>, u64)>,
    /// Bytes that it sent.
    pub sent: u64,
    pub(super) busy: Time,
    content: Content,
}

impl Server {
    /// A server that does as it should.
    pub fn new(content: &Content, url: &str) -> Self {
        Self {
            url: url.into(),
            rate: 1_000_000,
            corrupt: None,
            refusals: Vec::new(),
            mute: false,
            asked: Vec::new(),
            sent: 0,
            busy: Time::ZERO,
            content: content.clone(),
        }
    }

    /// Its answer, in parts.
    pub(super) fn answer(&mut self, url: &str, start: Option<u64>, length: u64) -> Result<Vec<Bytes>, Refused> {
        self.asked.push((url.into(), start, length));
        if !self.refusals.is_empty() {
            return Err(self.refusals.remove(0));
        }
        let at = match start {
            Some(start) => self.file(url).map(|offset| offset + start as usize),
            None => self.piece(url, length),
        };
        let refused = Refused {
            status: 404,
            retry: None,
            why: "HTTP 404".into(),
        };
        let at = at.ok_or(refused)?;
        let mut bytes = self.content.bytes.slice(at..at + length as usize).to_vec();
        if let Some((first, step)) = self.corrupt {
            let bad = |place: &usize| *place >= first && (place - first).is_multiple_of(step);
            (at..at + bytes.len())
                .filter(bad)
                .for_each(|place| bytes[place - at] ^= 0xff);
        }
        self.sent += length;
        Ok(bytes.chunks(CHUNK).map(Bytes::copy_from_slice).collect())
    }

    /// Where the file of that URL begins in the torrent.
    fn file(&self, url: &str) -> Option<usize> {
        let path = url.strip_prefix(&self.url)?;
        let files = &self.content.metainfo.files;
        let file = files.iter().find(|file| file.path.as_str() == path && !file.pad)?;
        Some(file.offset as usize)
    }

    fn piece(&self, url: &str, length: u64) -> Option<usize> {
        let query = url.strip_prefix(&self.url)?.strip_prefix("?info_hash=")?;
        let mut fields = query.split('&').skip(1);
        let piece: u32 = fields.next()?.strip_prefix("piece=")?.parse().ok()?;
        let (first, last) = fields.next()?.strip_prefix("ranges=")?.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        assert_eq!(last + 1 - first, length);
        let layout = &self.content.metainfo.layout;
        Some((layout.offset(layout.piece(piece)?) + first) as usize)
    }
}
