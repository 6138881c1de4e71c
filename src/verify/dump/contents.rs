//! The bytes of files: hashed and, where they should be JSON, parsed in the same pass, by several threads, in constant
//! memory however long a file or a value in it is.

use std::io::{self, BufReader, Read};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

use super::layout::{Content, File};
use super::open_file;
use crate::progress::Progress;
use crate::verify::finding::{Finding, Kind};
use crate::verify::{Findings, VerifyError};

/// Bytes read at a time.
const READ_BYTES: usize = 128 << 10;

/// Progress is told after so many bytes of one file.
const TOLD_BYTES: u64 = 4 << 20;

/// How often the run looks whether it should stop.
const INTERRUPT_POLL: Duration = Duration::from_millis(50);

/// Deepest nesting of JSON that is followed. Items nest 32 deep, two levels each (`docs/format/dynamodb.md` section
/// 3.8).
const MAX_NESTING: u32 = 256;

/// One file to read.
pub struct Job {
    /// Relative to the root.
    pub path: Vec<u8>,
    /// The sum in CHECKSUMS, if it is listed.
    pub listed: Option<[u8; 32]>,
}

/// A file that was read.
pub struct Outcome {
    sha256: [u8; 32],
    /// Its length.
    pub bytes: u64,
    /// Line ends in it, if it should be JSON lines.
    pub lines: u64,
    /// Why it is no JSON, if it should be.
    refusal: Option<String>,
}

/// Says what is wrong with a file.
pub fn judge(job: &Job, read: &Outcome, findings: &mut Findings<'_>) {
    if let Some(listed) = job.listed.filter(|listed| *listed != read.sha256) {
        let detail = format!("its SHA-256 is {}, CHECKSUMS says {}", hex(&read.sha256), hex(&listed));
        findings(Finding::new(Kind::ChecksumMismatch, &job.path, detail));
    }
    if let Some(refusal) = &read.refusal {
        findings(Finding::new(Kind::JsonMalformed, &job.path, refusal.as_str()));
    }
}

/// A sum in hex digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut digits = Vec::new();
    crate::dump::push_hex(bytes, &mut digits);
    String::from_utf8_lossy(&digits).into_owned()
}

enum Message {
    Read(u64),
    Done(usize, io::Result<Outcome>),
}

/// Reads files; what came of each, in their order.
///
/// # Errors
/// The run is to stop.
pub fn read(
    root: &OwnedFd,
    jobs: &[Job],
    threads: usize,
    progress: &dyn Progress,
) -> Result<Vec<io::Result<Outcome>>, VerifyError> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut outcomes: Vec<Option<io::Result<Outcome>>> = jobs.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        let (sender, messages) = channel();
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            let (sender, next, stop) = (sender.clone(), &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(number) else { return };
                    let outcome = read_one(root, &job.path, &sender, stop);
                    if sender.send(Message::Done(number, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        loop {
            match messages.recv_timeout(INTERRUPT_POLL) {
                Ok(Message::Read(bytes)) => progress.advance(bytes),
                Ok(Message::Done(number, outcome)) => {
                    if let Some(slot) = outcomes.get_mut(number) {
                        *slot = Some(outcome);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if progress.is_interrupted() {
                stop.store(true, Ordering::Relaxed);
            }
        }
    });
    // One that is missing was not read because the run is to stop.
    if stop.into_inner() {
        return Err(VerifyError::Interrupted);
    }
    outcomes.into_iter().map(|outcome| outcome.ok_or(VerifyError::Interrupted)).collect()
}

fn read_one(root: &OwnedFd, path: &[u8], told: &Sender<Message>, stop: &AtomicBool) -> io::Result<Outcome> {
    let file = open_file(root, path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file any more"));
    }
    let content = File::of(path).content;
    let mut hashed = Hashed {
        file,
        hash: Sha256::new(),
        bytes: 0,
        told: 0,
        lines: 0,
        last: b'\n',
        nesting: (content != Content::Bytes).then(Nesting::default),
        failed: None,
        sender: told,
        stop,
    };
    let mut refusal = None;
    if content != Content::Bytes {
        let mut reader = BufReader::with_capacity(READ_BYTES, &mut hashed);
        refusal = match content {
            Content::JsonLines => json_lines(&mut reader),
            Content::Json | Content::Bytes => json(&mut reader),
        }
        .err()
        .map(|error| error.to_string());
        // What the parser did not want is part of the file all the same.
        hashed.nesting = None;
    }
    let mut rest = vec![0; READ_BYTES];
    while hashed.read(&mut rest)? > 0 {}
    if let Some(error) = hashed.failed.take() {
        return Err(error);
    }
    let _ = told.send(Message::Read(hashed.bytes - hashed.told));
    if content == Content::JsonLines && refusal.is_none() && hashed.last != b'\n' {
        refusal = Some("its last line has no end".to_owned());
    }
    Ok(Outcome { sha256: hashed.hash.finalize().into(), bytes: hashed.bytes, lines: hashed.lines, refusal })
}

fn json(reader: &mut impl Read) -> serde_json::Result<()> {
    let mut parser = serde_json::Deserializer::from_reader(reader);
    IgnoredAny::deserialize(&mut parser)?;
    parser.end()
}

fn json_lines(reader: &mut impl Read) -> serde_json::Result<()> {
    serde_json::Deserializer::from_reader(reader)
        .into_iter::<IgnoredAny>()
        .try_for_each(|value| value.map(|_| ()))
}

/// A file that is hashed as it is read.
struct Hashed<'s> {
    file: std::fs::File,
    hash: Sha256,
    bytes: u64,
    told: u64,
    lines: u64,
    last: u8,
    nesting: Option<Nesting>,
    /// What the system said; a parser does not hand it on.
    failed: Option<io::Error>,
    sender: &'s Sender<Message>,
    stop: &'s AtomicBool,
}

impl Read for Hashed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("interrupted"));
        }
        let count = match self.file.read(out) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.failed = Some(error);
                return Err(io::Error::other("unreadable"));
            }
            read => read?,
        };
        let read = out.get(..count).unwrap_or_default();
        self.hash.update(read);
        self.bytes += count as u64;
        self.last = read.last().copied().unwrap_or(self.last);
        self.lines += read.iter().filter(|&&byte| byte == b'\n').count() as u64;
        if self.bytes - self.told >= TOLD_BYTES {
            let _ = self.sender.send(Message::Read(self.bytes - self.told));
            self.told = self.bytes;
        }
        if let Some(nesting) = &mut self.nesting
            && !nesting.take(read)
        {
            return Err(io::Error::other(format!("it nests deeper than {MAX_NESTING}")));
        }
        Ok(count)
    }
}

/// How deep the JSON is: a parser remembers every level, so somebody has to stop it.
#[derive(Default)]
struct Nesting {
    depth: u32,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    /// False once it is too deep.
    fn take(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.depth > MAX_NESTING {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &str, content: &[u8]) -> Option<String> {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content).unwrap();
        let directory: OwnedFd = std::fs::File::open(root.path()).unwrap().into();
        let (sender, _messages) = channel();
        let read = read_one(&directory, path.as_bytes(), &sender, &AtomicBool::new(false)).unwrap();
        assert_eq!((read.sha256, read.bytes), (Sha256::digest(content).into(), content.len() as u64));
        read.refusal
    }

    #[test]
    fn what_is_no_json_is_refused_and_hashed_all_the_same() {
        let one = |content: &[u8]| refusal("redis/db_0/hashes/k.json", content).is_some();
        assert!(!one(b"{\n  \"a\": [1, \"x\"]\n}"));
        let deep = |levels: usize| [vec![b'['; levels], vec![b']'; levels]].concat();
        assert!(!one(&deep(MAX_NESTING as usize)));
        for content in [&b""[..], b"{", b"{} {}", b"\xff", b"\"\n\"", &deep(300), &vec![b'['; 3 << 20]] {
            assert!(one(content), "{}", content[..content.len().min(9)].escape_ascii());
        }
        let lines = |content: &[u8]| refusal("sqs/q/messages.jsonl", content).is_some();
        assert!(!lines(b"{\"a\":1}\n{}\n"));
        for content in [&b"{}"[..], b"{\n", b"{}\nx\n"] {
            assert!(lines(content), "{}", content.escape_ascii());
        }
        assert_eq!(refusal("s3/b/any.json", b"{"), None);
    }
}
