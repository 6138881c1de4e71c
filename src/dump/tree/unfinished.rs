//! A file that is half-written: how far it is, in a form that outlives the run, and how another run goes on with it.
//! Whether what a note says can still be believed is left to the caller.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, openat};
use sha2::Sha256;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};

use super::Directory;
use super::directory::in_folder;
use super::output::{OpenFile, Output};

/// What has been written of a file, and which of its content that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Relative to the root, with `/`.
    pub path: Vec<u8>,
    /// Its bytes so far.
    pub bytes: u64,
    /// The state of SHA-256 after them.
    pub sha256_state: Vec<u8>,
    /// What the caller said of this place, for finding it again.
    pub position: Vec<u8>,
}

impl Unfinished {
    pub(super) fn of(file: &OpenFile, position: Vec<u8>) -> Self {
        Self {
            path: file.directory.path_of(&file.name),
            bytes: file.bytes,
            sha256_state: file.hash.serialize().to_vec(),
            position,
        }
    }

    /// Opens the file and cuts it off where the note was taken; `None` if it does not go that far, or the note makes no
    /// sense.
    pub(super) fn open(&self, directory: &Arc<Directory>, name: &[u8]) -> Option<OpenFile> {
        let state = SerializedState::<Sha256>::try_from(self.sha256_state.as_slice()).ok()?;
        let hash = Sha256::deserialize(&state).ok()?;
        let file = self.cut_off(directory, name).ok()?;
        Some(OpenFile {
            output: Output::File(file),
            directory: Arc::clone(directory),
            name: name.to_vec(),
            hash,
            bytes: self.bytes,
        })
    }

    fn cut_off(&self, directory: &Arc<Directory>, name: &[u8]) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened =
            in_folder(directory, name, &mut None, |folder, name| openat(folder, name, flags, Mode::empty()));
        let mut file = File::from(opened?);
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() < self.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.set_len(self.bytes)?;
        file.seek(SeekFrom::Start(self.bytes))?;
        Ok(file)
    }
}
