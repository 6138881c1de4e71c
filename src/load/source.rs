//! The snapshots that a load reads: which file it is, and that it is still the same one when a load goes on.
//! Reading their rows is left to `writer`.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};

use super::INTERRUPT_POLL;
use crate::error::Error;
use crate::progress::Progress;
use crate::snapshot::{Located, Reader, SnapshotError, rfc3339};
use crate::staging::{Staging, StagingError, U64, fingerprint, modified_ns};

/// One snapshot to read.
#[derive(Clone, Debug)]
pub enum Input {
    /// A file.
    File(Located),
    /// Standard input.
    Stdin,
}

impl Input {
    /// The name in messages and in the manifest.
    pub fn name(&self) -> String {
        match self {
            Self::File(located) => located.path.display().to_string(),
            Self::Stdin => "-".to_owned(),
        }
    }
}

impl Input {
    /// Files can; standard input and pipes cannot.
    pub fn can_be_read_again(&self) -> bool {
        match self {
            Self::File(located) => located.path.is_file(),
            Self::Stdin => false,
        }
    }
}

/// A snapshot of which the beginning has been read.
pub(super) struct Opened<'i> {
    pub input: &'i Input,
    pub reader: Reader,
    /// What the reader reads from, if it can be read again.
    pub file: Option<File>,
    pub identity: Identity,
}

/// What tells a file from another one, and from itself after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    /// As given.
    pub name: String,
    absolute_path: Option<Vec<u8>>,
    pub bytes: Option<u64>,
    modified_ns: Option<i64>,
    /// SHA-256 of the first and last 64 KiB.
    pub fingerprint: Option<Vec<u8>>,
}

impl Identity {
    fn of(name: &str, file: &File, path: &Path) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let bytes = metadata.len();
        Ok(Self {
            name: name.to_owned(),
            absolute_path: Some(std::path::absolute(path)?.as_os_str().as_bytes().to_vec()),
            bytes: Some(bytes),
            modified_ns: Some(modified_ns(&metadata)),
            fingerprint: Some(fingerprint(file, bytes)?.to_vec()),
        })
    }

    /// Those of the files that a load has begun with.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn of_sources(staging: &Staging) -> Result<Vec<Self>, StagingError> {
        let mut query = staging
            .connection()
            .prepare("SELECT path, absolute_path, bytes, modified_ns, fingerprint FROM source ORDER BY id")?;
        let known = query.query_map([], |row| {
            Ok(Self {
                name: row.get(0)?,
                absolute_path: row.get(1)?,
                bytes: row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned),
                modified_ns: row.get(3)?,
                fingerprint: row.get(4)?,
            })
        })?;
        Ok(known.collect::<Result<_, _>>()?)
    }

    /// Is it the same file, unchanged, under whatever name?
    pub fn is_same(&self, other: &Self) -> bool {
        Self { name: other.name.clone(), ..self.clone() } == *other
    }

    /// For people: which file it is.
    pub fn describe(&self) -> String {
        let modified = self.modified_ns.and_then(|ns| rfc3339(ns / 1_000_000));
        let (Some(bytes), Some(modified)) = (self.bytes, modified) else { return self.name.clone() };
        // Two files that differ in nothing else shall not read the same.
        let path = self.absolute_path.as_deref().map_or(self.name.as_str().into(), String::from_utf8_lossy);
        let fingerprint: String =
            self.fingerprint.iter().flatten().take(4).map(|b| format!("{b:02x}")).collect();
        format!("{path} ({bytes} bytes, modified {modified}, fingerprint {fingerprint})")
    }
}

impl<'i> Opened<'i> {
    /// Reads the beginning of a snapshot, on a thread of its own: a pipe that nobody writes to would hold up a run
    /// that was told to stop.
    ///
    /// # Errors
    /// Whatever keeps it from being read; the run was told to stop.
    pub fn wait_for(input: &'i Input, progress: &dyn Progress) -> Result<Self, Error> {
        let (sender, beginning) = channel();
        let owned = input.clone();
        std::thread::spawn(move || {
            // Nobody waits any more once the run was told to stop.
            let _ = sender.send(read_beginning(&owned));
        });
        loop {
            if progress.is_interrupted() {
                return Err(Error::Interrupted);
            }
            match beginning.recv_timeout(INTERRUPT_POLL) {
                Ok(beginning) => {
                    let (reader, file, identity) = beginning?;
                    return Ok(Self { input, reader, file, identity });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Error::ReaderDied),
            }
        }
    }

    /// Enters it among the sources.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn enter(&self, staging: &Staging, source: i64) -> Result<(), StagingError> {
        let (opening, identity) = (self.reader.opening(), &self.identity);
        let index = match self.input {
            Input::File(located) => located.index,
            Input::Stdin => None,
        };
        let header = opening.header;
        staging.connection().execute(
            "INSERT INTO source (id, path, absolute_path, snapshot_index, header, ceiling_ms, cutover_index, body, \
             last_commit_ts, bytes, modified_ns, fingerprint, complete) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
            (
                source,
                &identity.name,
                &identity.absolute_path,
                index.map(U64),
                header.map(|header| format!("EKVTHLC{}", header.version)),
                header.map(|header| U64(header.ceiling_ms)),
                header.and_then(|header| header.cutover_index).map(U64),
                opening.body.name(),
                U64(opening.last_commit_ts.0),
                identity.bytes.map(u64::cast_signed),
                identity.modified_ns,
                &identity.fingerprint,
            ),
        )?;
        Ok(())
    }
}

fn read_beginning(input: &Input) -> Result<(Reader, Option<File>, Identity), SnapshotError> {
    let name = input.name();
    let Input::File(located) = input else {
        let reader = Reader::open(Box::new(io::stdin()), name.clone(), false)?;
        return Ok((reader, None, Identity { name, ..Identity::default() }));
    };
    let unreadable = |source| SnapshotError::Io { name: name.clone(), source };
    let seekable = input.can_be_read_again();
    let file = File::open(&located.path).map_err(unreadable)?;
    let identity = if seekable {
        Identity::of(&name, &file, &located.path).map_err(unreadable)?
    } else {
        Identity { name: name.clone(), ..Identity::default() }
    };
    let again = if seekable { Some(file.try_clone().map_err(unreadable)?) } else { None };
    let mut reader = Reader::open(Box::new(file), name.clone(), seekable)?;
    if let Some(again) = &again {
        reader.read_tables_in(again.try_clone().map_err(unreadable)?)?;
    }
    Ok((reader, again, identity))
}
