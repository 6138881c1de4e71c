//! Files come into being here and nowhere else: below one open directory, never through a symbolic link, hashed
//! in the pass that writes them (`docs/format/dump.md` sections 5 and 6). The caller formats contents into a
//! reused buffer; writer threads create the files, so formatting and writing overlap. What files hold, and what
//! they are called, is decided elsewhere.

mod output;
mod unfinished;

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use self::output::{OpenFile, Output};
pub use self::unfinished::Unfinished;
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, open, openat, unlinkat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

/// What a dump says of itself, in its root.
pub const MANIFEST: &str = "MANIFEST.json";

/// The sums of all other files, in its root.
pub const CHECKSUMS: &str = "CHECKSUMS";

/// A chunk goes to a writer once it holds this many bytes …
const CHUNK_BYTES: usize = 256 << 10;

/// … or this many files.
const CHUNK_FILES: usize = 512;

/// Chunks waiting for one writer.
const QUEUE: usize = 2;

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

/// A directory of the tree. It is made and opened by whoever needs it first, and closed when its last file is written:
/// a tree may have more directories than a process can hold open.
pub struct Directory {
    path: PathBuf,
    /// Relative to the root, with `/` at the end unless it is the root.
    prefix: String,
    parent: Option<Arc<Directory>>,
    handle: OnceLock<OwnedFd>,
}

impl Directory {
    /// The path of a file in it, relative to the root, with `/`.
    pub fn path_of(&self, name: &[u8]) -> Vec<u8> {
        [self.prefix.as_bytes(), name].concat()
    }

    /// A directory in it, of a plain name; made with its first file.
    pub fn child(self: &Arc<Self>, name: &str) -> Arc<Self> {
        Arc::new(Self {
            path: self.path.join(name),
            prefix: format!("{}{name}/", self.prefix),
            parent: Some(Arc::clone(self)),
            handle: OnceLock::new(),
        })
    }

    /// The path of the root that it lies below.
    fn root(&self) -> &Path {
        self.parent.as_ref().map_or(&self.path, |parent| parent.root())
    }

    fn handle(&self) -> Result<&OwnedFd, TreeError> {
        if let Some(handle) = self.handle.get() {
            return Ok(handle);
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match (&self.parent, self.path.file_name()) {
            (Some(parent), Some(name)) => {
                let parent = parent.handle()?;
                match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(failed(&self.path)(error)),
                }
                openat(parent, name, flags, Mode::empty())
            }
            _ => open(&self.path, flags, Mode::empty()),
        };
        let opened = opened.map_err(failed(&self.path))?;
        // If another thread was faster, its handle serves as well.
        Ok(self.handle.get_or_init(|| opened))
    }
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

struct OwnedSum {
    path: Vec<u8>,
    bytes: u64,
    sha256: [u8; 32],
}

struct Writer {
    chunks: Option<SyncSender<Chunk>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    steps: Vec<Step>,
    files: usize,
    /// Bytes that its steps copy from other files.
    copied: u64,
    sums: Vec<OwnedSum>,
    unfinished: Option<Unfinished>,
    failed: Option<TreeError>,
}

impl Chunk {
    /// Bytes of files in it, about.
    fn length(&self) -> u64 {
        self.bytes.len() as u64 + self.copied
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= CHUNK_BYTES || self.files >= CHUNK_FILES || self.copied >= CHUNK_BYTES as u64
    }
}

enum Step {
    Create { directory: Arc<Directory>, name: Range<usize> },
    GoOn(Box<OpenFile>),
    Append(Range<usize>),
    Copy { source: Arc<File>, offset: u64, length: u64 },
    Note(Vec<u8>),
    Finish,
}

impl Tree {
    /// A tree below `root`, which must be a directory of our own, written by this many threads. Files that are there
    /// already were left half-written by a killed run: each is replaced when its turn comes.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn new(root: &Path, threads: usize) -> Result<Self, TreeError> {
        let directory =
            Directory { path: root.to_owned(), prefix: String::new(), parent: None, handle: OnceLock::new() };
        directory.handle()?;
        let (finished, done) = channel();
        let writers = (0..threads.max(1)).map(|_| Writer::start(finished.clone(), root, None)).collect();
        Ok(Self::written_by(writers, done, directory, true))
    }

    /// A tree of which the files go to a stream, one after the other, and nothing to any directory. Errors call it `name`.
    pub fn stream(name: &Path, stream: Box<dyn Write + Send>) -> Self {
        let root =
            Directory { path: name.to_owned(), prefix: String::new(), parent: None, handle: OnceLock::new() };
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

impl Writer {
    fn start(finished: Sender<Chunk>, root: &Path, mut stream: Option<Box<dyn Write + Send>>) -> Self {
        let (chunks, queue) = sync_channel::<Chunk>(QUEUE);
        let finished = Obituary { finished, root: root.to_owned() };
        let thread = std::thread::spawn(move || {
            let (mut open, mut folder) = (None, None);
            for mut chunk in queue {
                if let Err(error) = write_chunk(&mut chunk, &mut open, &mut folder, &mut stream) {
                    chunk.failed = Some(error);
                }
                if finished.finished.send(chunk).is_err() {
                    break;
                }
            }
        });
        Self { chunks: Some(chunks), thread: Some(thread) }
    }
}

/// Without word of a writer's death, its chunk would be waited for as long as other writers live.
struct Obituary {
    finished: Sender<Chunk>,
    root: PathBuf,
}

impl Drop for Obituary {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.finished.send(Chunk { failed: Some(died(&self.root)), ..Chunk::default() });
        }
    }
}

fn died(root: &Path) -> TreeError {
    TreeError { path: root.to_owned(), source: io::Error::other("a thread that writes files died") }
}

/// The directory that a writer was in last, of those that it makes itself: files come sorted by their path, so the next
/// one mostly goes there, too.
struct Folder {
    base: Arc<Directory>,
    path: Vec<u8>,
    handle: OwnedFd,
}

impl Folder {
    /// The directory at a path of plain names below `base`, made if it is not there.
    fn open(base: &Arc<Directory>, path: &[u8]) -> io::Result<Self> {
        let mut handle: Option<OwnedFd> = None;
        for name in path.split(|&byte| byte == b'/') {
            if matches!(name, b"" | b"." | b"..") {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "a segment of the path is no name"));
            }
            let parent = match &handle {
                Some(handle) => handle,
                None => base.handle().map_err(|error| error.source)?,
            };
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = match openat(parent, name, flags, Mode::empty()) {
                Err(Errno::NOENT) => {
                    match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
                        // Another writer may have been faster.
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                    openat(parent, name, flags, Mode::empty())?
                }
                opened => opened?,
            };
            handle = Some(opened);
        }
        let handle = handle.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self { base: Arc::clone(base), path: path.to_vec(), handle })
    }

    fn is(&self, base: &Arc<Directory>, path: &[u8]) -> bool {
        Arc::ptr_eq(&self.base, base) && self.path == path
    }
}

/// Opens a file, `name` being a path below the directory; `last` is where the one before was opened.
fn in_folder(
    directory: &Arc<Directory>,
    name: &[u8],
    last: &mut Option<Folder>,
    open: impl FnOnce(&OwnedFd, &[u8]) -> Result<OwnedFd, Errno>,
) -> io::Result<OwnedFd> {
    let Some(slash) = name.iter().rposition(|&byte| byte == b'/') else {
        return Ok(open(directory.handle().map_err(|error| error.source)?, name)?);
    };
    let (path, name) = (&name[..slash], &name[slash + 1..]);
    let folder = match last {
        Some(folder) if folder.is(directory, path) => folder,
        _ => {
            // Closed before another is opened.
            *last = None;
            last.insert(Folder::open(directory, path)?)
        }
    };
    Ok(open(&folder.handle, name)?)
}

fn write_chunk(
    chunk: &mut Chunk,
    open: &mut Option<OpenFile>,
    folder: &mut Option<Folder>,
    stream: &mut Option<Box<dyn Write + Send>>,
) -> Result<(), TreeError> {
    // Drained, so that a directory is closed with its last file and not with the chunk.
    for step in chunk.steps.drain(..) {
        match step {
            Step::Create { directory, name } => {
                let name = &chunk.bytes[name];
                let output = match stream.take() {
                    Some(stream) => Output::Stream(stream),
                    None => in_folder(&directory, name, folder, create)
                        .map(|file| Output::File(file.into()))
                        .map_err(|source| {
                            let path = directory.path.join(String::from_utf8_lossy(name).as_ref());
                            TreeError { path, source }
                        })?,
                };
                *open =
                    Some(OpenFile { output, directory, name: name.to_vec(), hash: Sha256::new(), bytes: 0 });
            }
            Step::GoOn(file) => *open = Some(*file),
            Step::Note(position) => {
                if let Some(open) = open {
                    chunk.unfinished = Some(Unfinished::of(open, position));
                }
            }
            Step::Append(range) => {
                if let Some(open) = open {
                    open.append(&chunk.bytes[range]).map_err(|source| open.failed(source))?;
                }
            }
            Step::Copy { source, offset, length } => {
                if let Some(open) = open {
                    open.copy(&source, offset, length).map_err(|source| open.failed(source))?;
                }
            }
            Step::Finish => {
                if let Some(open) = open.take() {
                    if let Output::Stream(taken) = open.output {
                        *stream = Some(taken);
                    }
                    chunk.sums.push(OwnedSum {
                        path: open.directory.path_of(&open.name),
                        bytes: open.bytes,
                        sha256: open.hash.finalize().into(),
                    });
                }
            }
        }
    }
    Ok(())
}

/// Always a new file: what has the name already is not written through, whatever it is.
fn create(directory: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // A store's content is for its owner, as long as nobody says otherwise (`docs/format/s3.md` section 3).
    let mode = Mode::from_raw_mode(0o600);
    match openat(directory, name, flags, mode) {
        Err(Errno::EXIST) => {
            unlinkat(directory, name, AtFlags::empty())?;
            openat(directory, name, flags, mode)
        }
        opened => opened,
    }
}

fn failed(path: &Path) -> impl FnOnce(Errno) -> TreeError {
    let path = path.to_owned();
    move |error| TreeError { path, source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_may_have_more_directories_than_a_process_can_hold_open() {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let root = tempfile::tempdir().unwrap();
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(512), ..limit }).unwrap();
        let mut tree = Tree::new(root.path(), 3).unwrap();
        let parent = tree.directory("a/b").unwrap();
        let mut written = 0;
        for number in 0..3000 {
            tree.begin(&parent.child(&number.to_string()), b"file");
            tree.content().extend_from_slice(b"content");
            tree.end().unwrap();
        }
        tree.settle().unwrap();
        tree.drain_sums(|_| written += 1);
        setrlimit(Resource::Nofile, limit).unwrap();
        assert_eq!(written, 3000);
        assert_eq!(std::fs::read(root.path().join("a/b/2999/file")).unwrap(), b"content");
    }

    #[test]
    fn nobody_but_the_owner_can_read_a_file() {
        use std::os::unix::fs::MetadataExt;

        let root = tempfile::tempdir().unwrap();
        let mut tree = Tree::new(root.path(), 1).unwrap();
        let directory = tree.directory("folder").unwrap();
        tree.begin(&directory, b"file");
        tree.end().and_then(|()| tree.settle()).unwrap();
        let mode = |path| std::fs::metadata(root.path().join(path)).unwrap().mode() & 0o077;
        assert_eq!(mode("folder/file"), 0);
    }

    #[test]
    fn a_path_of_names_is_made_on_the_way_and_leads_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("link")).unwrap();
        let write = |name: &[u8]| {
            let mut tree = Tree::new(root.path(), 2).unwrap();
            let directory = tree.directory("").unwrap();
            tree.begin(&directory, name);
            tree.content().extend_from_slice(b"content");
            let ended = tree.end().and_then(|()| tree.settle());
            let mut paths = Vec::new();
            tree.drain_sums(|sum| paths.push(sum.path.to_vec()));
            ended.map(|()| paths)
        };
        assert_eq!(write(b"a/b/c").unwrap(), [b"a/b/c"]);
        assert_eq!(write(b"a/b/d/\xff").unwrap(), [b"a/b/d/\xff"]);
        assert_eq!(std::fs::read(root.path().join("a/b/c")).unwrap(), b"content");
        for name in
            [&b"../x"[..], b"a/../x", b"a//x", b"/x", b"./x", b"link/x", b"a/b/c/x", b"a/b", b"a/b/", b"a/.."]
        {
            assert!(write(name).is_err(), "{}", name.escape_ascii());
        }
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn extents_and_content_of_one_file_follow_each_other() {
        let root = tempfile::tempdir().unwrap();
        let source = root.path().join("source");
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| ((i * 7) >> 3) as u8).collect();
        std::fs::write(&source, &bytes).unwrap();
        let source = Arc::new(File::open(source).unwrap());
        let mut tree = Tree::new(root.path(), 2).unwrap();
        let directory = tree.directory("").unwrap();
        tree.begin(&directory, b"file");
        tree.copy(&source, 5, 1_000_000).unwrap();
        tree.content().extend_from_slice(b"between");
        tree.copy(&source, 2_000_000, 900_000).unwrap();
        tree.copy(&source, 0, 3).unwrap();
        tree.end().unwrap();
        tree.settle().unwrap();
        let expected = [&bytes[5..1_000_005], b"between", &bytes[2_000_000..2_900_000], &bytes[..3]].concat();
        assert!(std::fs::read(root.path().join("file")).unwrap() == expected);
        tree.drain_sums(|sum| assert_eq!(sum.sha256, <[u8; 32]>::from(Sha256::digest(&expected))));
    }

    #[test]
    fn a_writer_that_dies_is_an_error_whoever_else_lives() {
        let root = tempfile::tempdir().unwrap();
        for threads in [1, 2, 5] {
            let mut tree = Tree::new(root.path(), threads).unwrap();
            let directory = tree.directory("").unwrap();
            tree.begin(&directory, format!("f{threads}").as_bytes());
            tree.chunk.steps.push(Step::Append(usize::MAX - 1..usize::MAX));
            let ended = tree.end().and_then(|()| tree.settle());
            assert!(ended.unwrap_err().source.to_string().contains("died"));
            // Nor does anything that is sent to it afterwards get lost in silence.
            for file in 0..20 * threads {
                tree.begin(&directory, format!("g{threads}-{file}").as_bytes());
                tree.content().extend_from_slice(&vec![0; CHUNK_BYTES]);
                if tree.end().is_err() {
                    break;
                }
                assert!(file + 1 < 20 * threads, "every chunk found a writer");
            }
        }
    }
}
