//! The file that a writer has open, or the stream in its place: bytes go in and are hashed on their way. Which file it is,
//! and when it begins and ends, is left to the tree.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::copy_file_range;
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::{Directory, TreeError};

/// Copies from other files are hashed in pieces of this many bytes, while they are in the processor's cache.
const COPY_BYTES: u64 = 256 << 10;

/// Where bytes go.
pub(super) enum Output {
    File(File),
    Stream(Box<dyn Write + Send>),
}

/// What is being written.
pub(super) struct OpenFile {
    pub output: Output,
    pub directory: Arc<Directory>,
    pub name: Vec<u8>,
    pub hash: Sha256,
    pub bytes: u64,
}

impl OpenFile {
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.output {
            Output::File(file) => file.write_all(bytes)?,
            Output::Stream(stream) => stream.write_all(bytes)?,
        }
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Appends `length` bytes of another file, from `offset` on.
    pub fn copy(&mut self, source: &File, mut offset: u64, length: u64) -> io::Result<()> {
        let mut buffer = vec![0; COPY_BYTES.min(length) as usize];
        let end = self.bytes + length;
        while self.bytes < end {
            let wanted = (end - self.bytes).min(COPY_BYTES) as usize;
            let copied = match &mut self.output {
                Output::File(file) => {
                    let copied = copy_piece(file, source, offset, &mut buffer[..wanted])?;
                    // What is hashed is read back from where it was written, so the sum is right whatever happens to the
                    // source.
                    file.read_exact_at(&mut buffer[..copied], self.bytes)?;
                    copied
                }
                Output::Stream(stream) => {
                    let copied = source.read_at(&mut buffer[..wanted], offset)?;
                    stream.write_all(&buffer[..copied])?;
                    copied
                }
            };
            if copied == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.hash.update(&buffer[..copied]);
            self.bytes += copied as u64;
            offset += copied as u64;
        }
        Ok(())
    }

    pub fn failed(&self, source: io::Error) -> TreeError {
        let path = match &self.output {
            Output::File(_) => self.directory.path.join(String::from_utf8_lossy(&self.name).as_ref()),
            Output::Stream(_) => self.directory.root().to_owned(),
        };
        TreeError { path, source }
    }
}

/// Appends bytes of `source` to a file, at most as many as fit into `buffer`; how many.
fn copy_piece(file: &mut File, source: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut from = offset;
    match copy_file_range(source, Some(&mut from), &*file, None, buffer.len()) {
        Ok(copied) => Ok(copied),
        // Another file system, or one that cannot: by hand.
        Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
            let copied = source.read_at(buffer, offset)?;
            file.write_all(&buffer[..copied])?;
            Ok(copied)
        }
        Err(error) => Err(error.into()),
    }
}
