//! Where a dump goes, and how it appears: as `<output>.partial` until everything is written, then under its name in
//! one step (`docs/format/dump.md` section 6). Leaves the files inside to `tree`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, RenameFlags, flock, fsync, open, renameat_with, syncfs};
use rustix::io::Errno;

/// An output that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Something is there.
    #[error("{} exists and is not an empty directory; --force replaces a directory", .0.display())]
    Exists(PathBuf),
    /// Something is there that is never replaced.
    #[error("{} is not a directory and is never replaced", .0.display())]
    NotADirectory(PathBuf),
    /// The path ends in nothing that could be a name.
    #[error("{} cannot be the name of a new directory", .0.display())]
    NoName(PathBuf),
    /// Replacing it would remove something that the run needs.
    #[error("{} is not replaced: {} lies in it", output.display(), inside.display())]
    Needed {
        /// The output.
        output: PathBuf,
        /// What lies in it.
        inside: PathBuf,
    },
    /// Another run writes to the same place.
    #[error("another process is writing {}", .0.display())]
    Busy(PathBuf),
    /// The operating system said no.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// The place of a dump that is not there yet.
#[derive(Clone, Debug)]
pub struct Target {
    output: PathBuf,
    force: bool,
}

impl Target {
    /// Looks whether a dump may be written to `output`. Nothing is changed yet. `needed` are paths that must not lie
    /// in a directory that is to be replaced.
    ///
    /// # Errors
    /// Something is there, and `force` does not help or is not given.
    pub fn new(output: &Path, force: bool, needed: &[PathBuf]) -> Result<Self, TargetError> {
        if output.file_name().is_none() {
            return Err(TargetError::NoName(output.to_owned()));
        }
        match fs::symlink_metadata(output) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(TargetError::Io { path: output.to_owned(), source }),
            Ok(metadata) if !metadata.is_dir() => return Err(TargetError::NotADirectory(output.to_owned())),
            Ok(_) => {
                let unreadable = |source| TargetError::Io { path: output.to_owned(), source };
                let empty = fs::read_dir(output).map_err(unreadable)?.next().is_none();
                if !empty && !force {
                    return Err(TargetError::Exists(output.to_owned()));
                }
                let real = fs::canonicalize(output).map_err(unreadable)?;
                let here = std::env::current_dir().ok();
                for path in needed.iter().chain(&here) {
                    if fs::canonicalize(path).is_ok_and(|path| path.starts_with(&real)) {
                        let (output, inside) = (output.to_owned(), path.clone());
                        return Err(TargetError::Needed { output, inside });
                    }
                }
            }
        }
        Ok(Self { output: output.to_owned(), force })
    }

    /// A path beside the output: its name and a suffix.
    pub fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.output.file_name().map_or_else(OsString::new, OsString::from);
        name.push(suffix);
        self.output.with_file_name(name)
    }

    /// Makes an empty `<output>.partial`, or goes on with the one that an earlier run left, if it is the very
    /// directory that `known` says.
    ///
    /// # Errors
    /// Another run holds it; it cannot be made.
    pub fn begin(self, known: Option<&DirectoryId>) -> Result<PartialDump, TargetError> {
        let path = self.beside(".partial");
        let io = |source| TargetError::Io { path: path.clone(), source };
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent).map_err(io)?;
                }
            }
            Err(source) => return Err(io(source)),
            Ok(metadata) if !metadata.is_dir() => return Err(TargetError::NotADirectory(path)),
            Ok(metadata) => {
                let lock = lock(&path)?;
                let id = DirectoryId::of(&metadata);
                if known == Some(&id) {
                    return Ok(PartialDump { target: self, path, lock, id });
                }
                fs::remove_dir_all(&path).map_err(io)?;
            }
        }
        fs::create_dir(&path).map_err(io)?;
        let lock = lock(&path)?;
        let id = DirectoryId::of(&fs::symlink_metadata(&path).map_err(io)?);
        Ok(PartialDump { target: self, path, lock, id })
    }

    /// The output as given.
    pub fn output(&self) -> &Path {
        &self.output
    }
}

/// Which directory it is, whatever its name: device, inode and time of birth, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryId(pub String);

impl DirectoryId {
    fn of(metadata: &fs::Metadata) -> Self {
        // Inode numbers are used again; with the time of birth they are not.
        let born = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        let born = born.map_or(0, |born| born.as_nanos());
        Self(format!("{}:{}:{born}", metadata.dev(), metadata.ino()))
    }
}

/// A dump that is being written.
pub struct PartialDump {
    target: Target,
    path: PathBuf,
    lock: OwnedFd,
    id: DirectoryId,
}

impl PartialDump {
    /// Which directory it is.
    pub fn id(&self) -> &DirectoryId {
        &self.id
    }

    /// Where its files go.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it last, and gives it its name.
    ///
    /// # Errors
    /// The operating system said no; a directory that has come into being meanwhile is not replaced without force.
    pub fn publish(self) -> Result<(), TargetError> {
        let output = &self.target.output;
        let failed = |error: Errno| TargetError::Io { path: output.clone(), source: error.into() };
        syncfs(&self.lock).map_err(failed)?;
        match renameat_with(CWD, &self.path, CWD, output, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            // Over an empty directory a plain rename succeeds, over any other it fails.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS) => match fs::rename(&self.path, output) {
                Ok(()) => {}
                Err(_) if self.target.force => self.replace()?,
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    return Err(TargetError::Exists(output.clone()));
                }
                Err(source) => return Err(TargetError::Io { path: output.clone(), source }),
            },
            Err(error) => return Err(failed(error)),
        }
        let parent = match output.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let parent = open(parent, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
        fsync(&parent).map_err(failed)
    }

    /// The old dump stays whole until the new one has its name.
    fn replace(&self) -> Result<(), TargetError> {
        let (output, old) = (&self.target.output, self.target.beside(".replaced"));
        let io = |source| TargetError::Io { path: output.clone(), source };
        fs::rename(output, &old).map_err(io)?;
        fs::rename(&self.path, output).map_err(io)?;
        fs::remove_dir_all(&old).map_err(|source| TargetError::Io { path: old, source })
    }

    /// Removes it.
    ///
    /// # Errors
    /// The operating system said no.
    pub fn discard(self) -> Result<(), TargetError> {
        let Self { path, .. } = self;
        fs::remove_dir_all(&path).map_err(|source| TargetError::Io { path, source })
    }
}

fn lock(path: &Path) -> Result<OwnedFd, TargetError> {
    let failed = |error: Errno| TargetError::Io { path: path.to_owned(), source: error.into() };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = open(path, flags, Mode::empty()).map_err(failed)?;
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(directory),
        Err(Errno::WOULDBLOCK) => Err(TargetError::Busy(path.to_owned())),
        Err(error) => Err(failed(error)),
    }
}
