//! Files come into being here and nowhere else: below one open directory, never through a symbolic link, hashed
//! in the pass that writes them (`docs/format/dump.md` sections 5 and 6). The caller formats contents into a
//! reused buffer; writer threads create the files, so formatting and writing overlap. What files hold, and what
//! they are called, is decided elsewhere.

mod directory;
mod output;
#[cfg(test)]
mod tests;
mod unfinished;
mod writer;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

pub use self::directory::Directory;
pub use self::unfinished::Unfinished;
use self::writer::{CHUNK_BYTES, Chunk, OwnedSum, Step, Writer, died};

/// What a dump says of itself, in its root.
pub const MANIFEST: &str = "MANIFEST.json";

/// The sums of all other files, in its root.
pub const CHECKSUMS: &str = "CHECKSUMS";

/// A file or directory that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct TreeError {
    /// The file or directory.
    pub path: PathBuf,
    /// What the operating system said.
    #[source]
    pub source: io::Error,
}

/// A finished file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSum<'a> {
    /// Relative to the root, with `/`.
    pub path: &'a [u8],
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
}

/// A directory tree being written, one file after the other.
pub struct Tree {
    root: Arc<Directory>,
    writers: Vec<Writer>,
    done: Receiver<Chunk>,
    spare: Vec<Chunk>,
    chunk: Chunk,
    /// The file being written, if its beginning has gone to a writer already: the rest has to follow it.
    bound_to: Option<usize>,
    next_writer: usize,
    open: bool,
    /// Has it directories? A stream has none.
    has_directories: bool,
    content_start: usize,
    in_flight: usize,
    sums: Vec<OwnedSum>,
    /// Bytes handed on since the last note on the file being written.
    since_note: u64,
    unfinished: Option<Unfinished>,
}

impl Tree {
    /// A tree below `root`, which must be a directory of our own, written by this many threads. Files that are there
    /// already were left half-written by a killed run: each is replaced when its turn comes.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn new(root: &Path, threads: usize) -> Result<Self, TreeError> {
        let directory = Directory::root_at(root);
        directory.handle()?;
        let (finished, done) = channel();
        let writers = (0..threads.max(1)).map(|_| Writer::start(finished.clone(), root, None)).collect();
        Ok(Self::written_by(writers, done, directory, true))
    }

    /// A tree of which the files go to a stream, one after the other, and nothing to any directory. Errors call it `name`.
    pub fn stream(name: &Path, stream: Box<dyn Write + Send>) -> Self {
        let root = Directory::root_at(name);
        let (finished, done) = channel();
        Self::written_by(vec![Writer::start(finished, name, Some(stream))], done, root, false)
    }

    fn written_by(
        writers: Vec<Writer>,
        done: Receiver<Chunk>,
        root: Directory,
        has_directories: bool,
    ) -> Self {
        Self {
            root: Arc::new(root),
            writers,
            done,
            spare: Vec::new(),
            chunk: Chunk::default(),
            bound_to: None,
            next_writer: 0,
            open: false,
            has_directories,
            content_start: 0,
            in_flight: 0,
            sums: Vec::new(),
            since_note: 0,
            unfinished: None,
        }
    }

    /// The directory at a path of plain names below the root, made if it is not there.
    ///
    /// # Errors
    /// It cannot be made, or a symbolic link stands in its place.
    pub fn directory(&self, path: &str) -> Result<Arc<Directory>, TreeError> {
        let directory = self.lazy_directory(path);
        if self.has_directories {
            directory.handle()?;
        }
        Ok(directory)
    }

    /// The directory at a path of plain names below the root, made with its first file.
    pub fn lazy_directory(&self, path: &str) -> Arc<Directory> {
        let mut directory = Arc::clone(&self.root);
        for name in path.split('/').filter(|name| !name.is_empty()) {
            directory = directory.child(name);
        }
        directory
    }

    /// Begins a file. Its name is a single plain segment, or a path of such below the directory, with `/`; directories
    /// on that path are made by the writer when it comes to the file, and none but the last stays open.
    pub fn begin(&mut self, directory: &Arc<Directory>, name: &[u8]) {
        let start = self.chunk.bytes.len();
        self.chunk.bytes.extend_from_slice(name);
        self.content_start = self.chunk.bytes.len();
        let name = start..self.content_start;
        self.chunk.steps.push(Step::Create { directory: Arc::clone(directory), name });
        (self.open, self.since_note) = (true, 0);
    }

    /// Goes on with a file that an earlier run has left half-written, instead of beginning it; false if it is not there as
    /// the note says.
    pub fn go_on(&mut self, directory: &Arc<Directory>, name: &[u8], unfinished: &Unfinished) -> bool {
        let Some(file) = unfinished.open(directory, name) else { return false };
        self.content_start = self.chunk.bytes.len();
        self.chunk.steps.push(Step::GoOn(Box::new(file)));
        (self.open, self.since_note) = (true, 0);
        true
    }

    /// Has so much been written of a file that it is time for a [`Self::note`]?
    #[inline]
    pub fn is_note_due(&self) -> bool {
        self.since_note + self.chunk.length() >= CHUNK_BYTES as u64
    }

    /// Notes how far the file being written is. `position` says where in its content that is, and comes back with
    /// [`Self::unfinished`] once everything before it is written.
    ///
    /// # Errors
    /// A file could not be written.
    pub fn note(&mut self, position: Vec<u8>) -> Result<(), TreeError> {
        self.append();
        self.chunk.steps.push(Step::Note(position));
        self.hand_on()?;
        self.since_note = 0;
        Ok(())
    }

    /// The last note on the file being written.
    pub fn unfinished(&self) -> Option<&Unfinished> {
        self.unfinished.as_ref()
    }

    /// Where the content of the file goes: append to it, then call [`Self::spill`] or [`Self::end`].
    pub fn content(&mut self) -> &mut Vec<u8> {
        &mut self.chunk.bytes
    }

    /// Appends `length` bytes of another file, from `offset` on, to the file being written. They do not pass through
    /// this thread; where the file system can share them, they are not even copied.
    ///
    /// # Errors
    /// A file could not be written.
    pub fn copy(&mut self, source: &Arc<File>, offset: u64, length: u64) -> Result<(), TreeError> {
        self.append();
        self.chunk.steps.push(Step::Copy { source: Arc::clone(source), offset, length });
        self.chunk.copied += length;
        if self.chunk.is_full() { self.hand_on() } else { Ok(()) }
    }

    /// Hands full chunks to the writers. To be called after every few KiB of content.
    ///
    /// # Errors
    /// A file could not be written.
    #[inline]
    pub fn spill(&mut self) -> Result<(), TreeError> {
        if self.chunk.bytes.len() < CHUNK_BYTES { Ok(()) } else { self.hand_on() }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// A file could not be written.
    pub fn end(&mut self) -> Result<(), TreeError> {
        self.append();
        self.chunk.steps.push(Step::Finish);
        self.chunk.files += 1;
        self.open = false;
        if self.bound_to.is_some() || self.chunk.is_full() { self.hand_on() } else { Ok(()) }
    }

    /// Waits until everything that was ended is written.
    ///
    /// # Errors
    /// A file could not be written.
    pub fn settle(&mut self) -> Result<(), TreeError> {
        if !self.chunk.steps.is_empty() {
            self.hand_on()?;
        }
        while self.in_flight > 0 {
            self.take_back(true)?;
        }
        Ok(())
    }

    /// The files written since the last call.
    pub fn drain_sums(&mut self, mut take: impl FnMut(FileSum<'_>)) {
        for sum in self.sums.drain(..) {
            take(FileSum { path: &sum.path, bytes: sum.bytes, sha256: sum.sha256 });
        }
    }

    fn append(&mut self) {
        let end = self.chunk.bytes.len();
        if self.open && end > self.content_start {
            self.chunk.steps.push(Step::Append(self.content_start..end));
            self.content_start = end;
        }
    }

    fn hand_on(&mut self) -> Result<(), TreeError> {
        self.append();
        let writer = self.bound_to.unwrap_or(self.next_writer);
        self.bound_to = self.open.then_some(writer);
        self.next_writer = (writer + 1) % self.writers.len();
        self.since_note += self.chunk.length();
        let fresh = self.spare.pop().unwrap_or_default();
        let chunk = std::mem::replace(&mut self.chunk, fresh);
        self.content_start = 0;
        self.in_flight += 1;
        if let Some(chunks) = &self.writers[writer].chunks
            && chunks.send(chunk).is_err()
        {
            return Err(died(&self.root.path));
        }
        while self.take_back(false)? {}
        Ok(())
    }

    /// Takes a written chunk back; false if there was none and `wait` is not asked for.
    fn take_back(&mut self, wait: bool) -> Result<bool, TreeError> {
        let chunk = if wait { self.done.recv().ok() } else { self.done.try_recv().ok() };
        let Some(mut chunk) = chunk else {
            return if wait { Err(died(&self.root.path)) } else { Ok(false) };
        };
        self.in_flight -= 1;
        if let Some(error) = chunk.failed.take() {
            return Err(error);
        }
        if let Some(noted) = chunk.unfinished.take() {
            self.unfinished = Some(noted);
        }
        // Notes and the end of a file come from one writer, in their order.
        self.unfinished.take_if(|noted| chunk.sums.iter().any(|sum| sum.path == noted.path));
        self.sums.append(&mut chunk.sums);
        chunk.bytes.clear();
        chunk.steps.clear();
        (chunk.files, chunk.copied) = (0, 0);
        self.spare.push(chunk);
        Ok(true)
    }
}

/// Content written through [`Write`], handed on as it grows.
impl Write for Tree {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.bytes.extend_from_slice(bytes);
        self.spill().map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        for writer in &mut self.writers {
            writer.chunks = None;
            if let Some(thread) = writer.thread.take() {
                // A writer that panicked has left an obituary; there is nobody to tell any more.
                let _ = thread.join();
            }
        }
    }
}
