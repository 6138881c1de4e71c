//! The threads that write files: chunks of content and of what to do with it go to them, and come back with the sums of
//! what was finished. Which file comes when is left to the tree.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender, sync_channel};
use std::thread::JoinHandle;

use sha2::{Digest, Sha256};

use super::directory::{Folder, create, in_folder};
use super::output::{OpenFile, Output};
use super::{Directory, TreeError, Unfinished};

/// A chunk goes to a writer once it holds this many bytes …
pub(super) const CHUNK_BYTES: usize = 256 << 10;

/// … or this many files.
const CHUNK_FILES: usize = 512;

/// Chunks waiting for one writer.
const QUEUE: usize = 2;

pub(super) struct OwnedSum {
    pub path: Vec<u8>,
    pub bytes: u64,
    pub sha256: [u8; 32],
}

pub(super) struct Writer {
    pub chunks: Option<SyncSender<Chunk>>,
    pub thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
pub(super) struct Chunk {
    pub bytes: Vec<u8>,
    pub steps: Vec<Step>,
    pub files: usize,
    /// Bytes that its steps copy from other files.
    pub copied: u64,
    pub sums: Vec<OwnedSum>,
    pub unfinished: Option<Unfinished>,
    pub failed: Option<TreeError>,
}

impl Chunk {
    /// Bytes of files in it, about.
    pub fn length(&self) -> u64 {
        self.bytes.len() as u64 + self.copied
    }

    pub fn is_full(&self) -> bool {
        self.bytes.len() >= CHUNK_BYTES || self.files >= CHUNK_FILES || self.copied >= CHUNK_BYTES as u64
    }
}

pub(super) enum Step {
    Create { directory: Arc<Directory>, name: Range<usize> },
    GoOn(Box<OpenFile>),
    Append(Range<usize>),
    Copy { source: Arc<File>, offset: u64, length: u64 },
    Note(Vec<u8>),
    Finish,
}

impl Writer {
    pub fn start(finished: Sender<Chunk>, root: &Path, mut stream: Option<Box<dyn Write + Send>>) -> Self {
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

pub(super) fn died(root: &Path) -> TreeError {
    TreeError { path: root.to_owned(), source: io::Error::other("a thread that writes files died") }
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
