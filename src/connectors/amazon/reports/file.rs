//! The document of a report: read part by part from an address that is good for a few minutes, unpacked, and cut into lines.
//!
//! Holds one part, what is unpacked of a slice of it, and an unfinished line: memory does not grow with the document. Knows
//! nothing of what the lines mean.

use std::{
    io::{self, Write},
    mem,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use flate2::write::MultiGzDecoder;
use reqwest::{
    Method,
    header::{ACCEPT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, RANGE},
};
use tokio::time::Instant;
use tokio_util::codec::{AnyDelimiterCodec, AnyDelimiterCodecError, Decoder as _};
use tracing::warn;
use url::Url;

use super::table::Charset;
use crate::connectors::{
    Fault,
    amazon::{call::Caller, documents, encode},
    http::Answer,
};

/// What is read, in words.
const DOCUMENT: &str = "the document of the report";
/// How much of the document is read in one go.
const PART: u64 = 512 << 10;
/// How much of it is unpacked in one go: gzip makes at most a thousand times as much of it.
const SLICE: usize = 4 << 10;
/// The longest line that is believed in.
const LINE_MAX: usize = 1 << 20;
/// How long an address is used. Amazon's are good for five minutes.
const GOOD: Duration = Duration::from_secs(240);
/// How long it is waited where a failing download names no time.
const PAUSE: Duration = Duration::from_secs(10);

/// The document of a report, read up to some place.
#[derive(Debug)]
pub(super) struct File {
    document: String,
    marketplace: String,
    address: Option<(Url, Instant)>,
    /// How many bytes were read, of how many.
    offset: u64,
    size: Option<u64>,
    charset: Option<Charset>,
    unpacking: Unpacking,
    /// What was read and not unpacked yet.
    part: Bytes,
    lines: Lines,
}

#[derive(Debug)]
enum Unpacking {
    NotAsked,
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
}

/// A line, or that there was one which is too long to be one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Bytes),
    TooLong,
}

impl File {
    pub(super) fn new(document: String, marketplace: String) -> File {
        File {
            document,
            marketplace,
            address: None,
            offset: 0,
            size: None,
            charset: None,
            unpacking: Unpacking::NotAsked,
            part: Bytes::new(),
            lines: Lines::default(),
        }
    }

    /// Returns in which encoding it is written, once some of it was read.
    pub(super) fn charset(&self) -> Option<Charset> {
        self.charset
    }

    /// Returns the next line. `None`: it was the last. After a fault it goes on where it was.
    pub(super) async fn line(&mut self, caller: &Caller) -> Result<Option<Line>, Fault> {
        loop {
            if let Some(line) = self.lines.next() {
                return Ok(Some(line));
            }
            if self.part.is_empty() {
                if self.size.is_some_and(|size| self.offset >= size) {
                    self.end()?;
                    return Ok(self.lines.last());
                }
                self.part = self.read(caller).await?;
            }
            let slice = self.part.split_to(self.part.len().min(SLICE));
            self.unpack(&slice)?;
        }
    }

    fn unpack(&mut self, slice: &[u8]) -> Result<(), Fault> {
        match &mut self.unpacking {
            Unpacking::NotAsked | Unpacking::Plain => self.lines.add(slice),
            Unpacking::Gzip(gzip) => {
                gzip.write_all(slice).map_err(packed)?;
                self.lines.add(&mem::take(gzip.get_mut()));
            }
        }
        Ok(())
    }

    /// Sees that it was whole: gzip ends with a sum of all before.
    fn end(&mut self) -> Result<(), Fault> {
        if let Unpacking::Gzip(gzip) = &mut self.unpacking {
            gzip.try_finish().map_err(packed)?;
            self.lines.add(&mem::take(gzip.get_mut()));
            self.unpacking = Unpacking::Plain;
        }
        Ok(())
    }

    /// Reads the next part. An address that is not good any more is asked for again, once.
    async fn read(&mut self, caller: &Caller) -> Result<Bytes, Fault> {
        let fresh = self.address.as_ref().is_none_or(|(_, since)| since.elapsed() >= GOOD);
        if fresh {
            self.ask(caller).await?;
        }
        let answer = self.download(caller).await?;
        if fresh || !has_gone(&answer) {
            return self.take(answer);
        }
        self.ask(caller).await?;
        let answer = self.download(caller).await?;
        self.take(answer)
    }

    async fn ask(&mut self, caller: &Caller) -> Result<(), Fault> {
        let (url, packing) =
            documents::ask(caller, encode::report_document(&self.document), DOCUMENT).await?;
        match (&self.unpacking, packing.as_deref()) {
            (Unpacking::NotAsked, None) => self.unpacking = Unpacking::Plain,
            (Unpacking::NotAsked, Some("GZIP")) => {
                self.unpacking = Unpacking::Gzip(Box::new(MultiGzDecoder::new(Vec::new())));
            }
            (Unpacking::Plain, None) | (Unpacking::Gzip(_), Some("GZIP")) => {}
            (_, packing) => {
                let packing = packing.unwrap_or("nothing").escape_debug();
                return Err(malformed(&format!("is packed with `{packing}`, which is not expected")));
            }
        }
        self.address = Some((url, Instant::now()));
        Ok(())
    }

    /// Reads some bytes. The address is good for anybody who has it, so no token goes there.
    async fn download(&self, caller: &Caller) -> Result<Answer, Fault> {
        let Some((url, _)) = &self.address else { return Err(malformed("has no address")) };
        let range = format!("bytes={}-{}", self.offset, self.offset + PART - 1);
        let request = caller.http().request(Method::GET, url.clone());
        // A part of something packed on its way could not be unpacked.
        let request = request.header(ACCEPT_ENCODING, "identity").header(RANGE, range);
        Ok(caller.http().send(request).await?)
    }

    fn take(&mut self, answer: Answer) -> Result<Bytes, Fault> {
        let length = answer.body.len() as u64;
        let size = match answer.status {
            206 => {
                let (from, size) =
                    answer.header(CONTENT_RANGE.as_str()).and_then(range).ok_or_else(|| {
                        malformed("came in part, and the answer does not say which part of how much")
                    })?;
                let whole = PART.min(size.saturating_sub(self.offset));
                if from != self.offset || length != whole {
                    let offset = self.offset;
                    warn!(
                        length,
                        from, whole, offset, "a part of a report is another one than was asked for"
                    );
                    return Err(malformed("came in another part than was asked for"));
                }
                size
            }
            // Who does not know of parts sends all of it.
            200 if self.offset == 0 => length,
            // There is no part of nothing.
            416 if self.offset == 0 => 0,
            _ if has_gone(&answer) => {
                return Err(malformed(&format!("is not there any more (status {})", answer.status)));
            }
            200..=399 | 416 => return Err(malformed(&format!("came with status {}", answer.status))),
            _ => return Err(answer.fault(PAUSE)),
        };
        if self.size.is_some_and(|known| known != size) {
            return Err(malformed("is another one than before"));
        }
        let charset = Charset::of(answer.header(CONTENT_TYPE.as_str()), &self.marketplace);
        if charset.is_wide() {
            return Err(malformed("is written in an encoding that is not read"));
        }
        self.charset.get_or_insert(charset);
        self.size = Some(size);
        if answer.status == 416 {
            return Ok(Bytes::new());
        }
        self.offset += length;
        Ok(answer.body)
    }
}

/// Tells whether an address is not good (any more).
fn has_gone(answer: &Answer) -> bool {
    matches!(answer.status, 400 | 401 | 403 | 404 | 410)
}

/// Reads where a part begins, and of how much it is one: `bytes 0-9/100`.
fn range(text: &str) -> Option<(u64, u64)> {
    let (part, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    Some((part.split_once('-')?.0.parse().ok()?, size.parse().ok()?))
}

fn malformed(what: &str) -> Fault {
    Fault::Malformed(format!("{DOCUMENT} {what}"))
}

fn packed(error: io::Error) -> Fault {
    malformed(&format!("cannot be unpacked: {error}"))
}

/// Text, cut into lines.
#[derive(Debug)]
struct Lines {
    text: BytesMut,
    codec: AnyDelimiterCodec,
}

impl Default for Lines {
    fn default() -> Lines {
        let codec = AnyDelimiterCodec::new_with_max_length(b"\n".to_vec(), Vec::new(), LINE_MAX);
        Lines { text: BytesMut::new(), codec }
    }
}

impl Lines {
    fn add(&mut self, more: &[u8]) {
        self.text.extend_from_slice(more);
    }

    fn next(&mut self) -> Option<Line> {
        line(self.codec.decode(&mut self.text))
    }

    /// Returns what is left when nothing comes any more.
    fn last(&mut self) -> Option<Line> {
        line(self.codec.decode_eof(&mut self.text))
    }
}

/// One that is too long is told as soon as it is, and left out up to its end.
fn line(read: Result<Option<Bytes>, AnyDelimiterCodecError>) -> Option<Line> {
    read.map_or(Some(Line::TooLong), |line| line.map(Line::Whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<Line> {
        let mut lines = Lines::default();
        let mut all = Vec::new();
        for part in parts {
            lines.add(part);
            all.extend(std::iter::from_fn(|| lines.next()));
        }
        all.extend(std::iter::from_fn(|| lines.last()));
        all
    }

    #[test]
    fn lines_come_whole_however_the_text_is_cut() {
        let line = |text: &'static str| Line::Whole(Bytes::from(text));
        let want = [line("a\tb"), line(""), line("c\r"), line("end")];
        assert_eq!(lines(&[b"a\tb\n\nc\r\nend"]), want);
        let text = b"a\tb\n\nc\r\nend";
        for at in 0..text.len() {
            let (first, second) = text.split_at(at);
            assert_eq!(lines(&[first, second]), want, "{at}");
        }
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines(&single), want);
        assert_eq!(lines(&[b"a\n"]), [line("a")]);
        assert_eq!(lines(&[b""]), []);
    }

    #[test]
    fn a_line_that_never_ends_is_left_out_and_takes_no_memory() {
        let long = vec![b'x'; 1000];
        let mut lines = Lines::default();
        let mut told = Vec::new();
        for _ in 0..3 * LINE_MAX / long.len() {
            lines.add(&long);
            told.extend(std::iter::from_fn(|| lines.next()));
            assert!(lines.text.len() <= LINE_MAX + 2 * long.len());
        }
        assert_eq!(told, [Line::TooLong]);
        lines.add(b"y\nnext\n");
        assert_eq!([lines.next(), lines.next()], [Some(Line::Whole(Bytes::from("next"))), None]);
        lines.add(&vec![b'x'; LINE_MAX + 1]);
        assert_eq!([lines.next(), lines.last(), lines.last()], [Some(Line::TooLong), None, None]);
        for (length, too_long) in [(LINE_MAX, false), (LINE_MAX + 1, true), (3 * LINE_MAX, true)] {
            let text = [&vec![b'x'; length][..], b"\nnext"].concat();
            let lines = self::lines(&[&text]);
            assert_eq!(lines.len(), 2, "{length}");
            assert_eq!((lines[0] == Line::TooLong, &lines[1]), (too_long, &Line::Whole(Bytes::from("next"))));
        }
    }

    #[test]
    fn the_place_of_a_part_is_read() {
        assert_eq!(range("bytes 0-9/100"), Some((0, 100)));
        assert_eq!(range("bytes 10-19/*"), None);
        assert_eq!(range("0-9/100"), None);
    }
}
