//! Where a dump goes, and how it appears: as `<output>.partial` until everything is written, then under its name in
//! one step (`docs/format/dump.md` section 6). Leaves the files inside to `tree`.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rustix::fs::{
    CWD, FlockOperation, Mode, OFlags, RenameFlags, flock, fstat, fsync, open, renameat_with, syncfs,
};
use rustix::io::Errno;

/// What the name of a dump ends in until it is published.
const PARTIAL: &str = ".partial";

/// What the name of an old dump ends in while it gives way, where two names cannot be exchanged.
const REPLACED: &str = ".replaced";

/// How often a run tries to get the partial dump that another one is just giving up.
const CLAIMS: usize = 10;

/// An output that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Something is there.
    #[error("{} exists and is not empty", .0.display())]
    Exists(PathBuf),
    /// Something is there that is never replaced.
    #[error("{} is there and not a directory: it is never replaced", .0.display())]
    NotADirectory(PathBuf),
    /// A symbolic link is there.
    #[error("{} is a symbolic link, which is neither followed nor replaced", .0.display())]
    SymbolicLink(PathBuf),
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
        let output = plain(output);
        let io = |source| TargetError::Io { path: output.clone(), source };
        if let Some(metadata) = metadata(&output)? {
            check_directory(&output, &metadata)?;
            let empty = fs::read_dir(&output).map_err(io)?.next().is_none();
            if !empty && !force {
                return Err(TargetError::Exists(output));
            }
            let real = fs::canonicalize(&output).map_err(io)?;
            let here = std::env::current_dir().ok();
            for path in needed.iter().chain(&here) {
                if fs::canonicalize(path).is_ok_and(|path| path.starts_with(&real)) {
                    let inside = path.clone();
                    return Err(TargetError::Needed { output, inside });
                }
            }
        }
        Ok(Self { output, force })
    }

    /// Makes `<output>.partial`, or takes the one that an earlier run has left, and holds it.
    ///
    /// # Errors
    /// Another run holds it; it cannot be made.
    pub fn begin(self) -> Result<PartialDump, TargetError> {
        let path = beside(&self.output, PARTIAL);
        let io = |source| TargetError::Io { path: path.clone(), source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io)?;
        }
        for _ in 0..CLAIMS {
            let mut found = false;
            match fs::create_dir(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    found = true;
                    if let Some(metadata) = metadata(&path)? {
                        check_directory(&path, &metadata)?;
                    }
                }
                Err(source) => return Err(io(source)),
            }
            let Some(lock) = lock(&path)? else { continue };
            let id = match metadata(&path)? {
                Some(metadata) => DirectoryId::of(&metadata),
                None => continue,
            };
            return Ok(PartialDump { target: self, path, lock, id, found, stays: false });
        }
        Err(TargetError::Busy(path))
    }
}

/// Which directory it is, whatever its name and after a reboot, too: inode and time of birth, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryId(pub String);

impl DirectoryId {
    /// Of the directory at a path; `None` if there is none.
    pub fn at(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().filter(Metadata::is_dir).map(|metadata| Self::of(&metadata))
    }

    fn of(metadata: &Metadata) -> Self {
        // Inode numbers are used again; with the time of birth they are not.
        let born = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        Self(match born {
            Some(born) => format!("{}:{}", metadata.ino(), born.as_nanos()),
            // Device numbers may be others after a reboot, and the directory is then not found again.
            None => format!("{} on {}", metadata.ino(), metadata.dev()),
        })
    }
}

/// A dump that is being written. Dropped before it is published, it is removed, unless another run is to go on with it.
pub struct PartialDump {
    target: Target,
    path: PathBuf,
    lock: OwnedFd,
    id: DirectoryId,
    found: bool,
    stays: bool,
}

impl PartialDump {
    /// Which directory it is.
    pub fn id(&self) -> &DirectoryId {
        &self.id
    }

    /// Where it will be.
    pub fn output(&self) -> &Path {
        &self.target.output
    }

    /// Leaves it where it is for another run, should this one end before it is published.
    pub fn keep(&mut self) {
        self.stays = true;
    }

    /// Like [`Self::keep`], if an earlier run has left it: what that one wrote is not lost because this one came to
    /// nothing.
    pub fn keep_if_found(&mut self) {
        self.stays |= self.found;
    }

    /// Where its files go.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes its files last.
    ///
    /// # Errors
    /// The operating system said no.
    pub fn sync(&self) -> Result<(), TargetError> {
        syncfs(&self.lock).map_err(|error| TargetError::Io { path: self.path.clone(), source: error.into() })
    }

    /// Gives it its name. A directory that had it before lies beside it now: what is left to do is [`tidy_up`]. If it
    /// fails the partial dump stays for another run.
    ///
    /// # Errors
    /// The operating system said no; a directory that has come into being meanwhile is not replaced without force.
    pub fn publish(mut self) -> Result<(), TargetError> {
        self.stays = true;
        let output = &self.target.output;
        match renameat_with(CWD, &self.path, CWD, output, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            // Over an empty directory a plain rename succeeds, over any other it fails.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS) => match fs::rename(&self.path, output) {
                Ok(()) => Ok(()),
                Err(_) if self.target.force => self.replace(),
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    Err(TargetError::Exists(output.clone()))
                }
                Err(source) => Err(TargetError::Io { path: output.clone(), source }),
            },
            Err(error) => Err(TargetError::Io { path: output.clone(), source: error.into() }),
        }
    }

    /// Puts the new dump into the place of the old one, which stays whole.
    fn replace(&self) -> Result<(), TargetError> {
        let (output, old) = (&self.target.output, beside(&self.target.output, REPLACED));
        let failed = |source| TargetError::Io { path: output.clone(), source };
        if let Some(metadata) = metadata(output)? {
            check_directory(output, &metadata)?;
        }
        match renameat_with(CWD, &self.path, CWD, output, RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(()),
            // A file system that cannot exchange two names.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            Err(error) => return Err(failed(error.into())),
        }
        fs::rename(output, &old).map_err(failed)?;
        match fs::rename(&self.path, output) {
            Ok(()) => Ok(()),
            Err(source) => {
                // Whatever comes of this, the first error says more.
                let _ = fs::rename(&old, output);
                Err(failed(source))
            }
        }
    }

    /// Removes what lies in it, but not the directory itself, which carries the lock.
    ///
    /// # Errors
    /// The operating system said no.
    pub fn clear(&self) -> Result<(), TargetError> {
        let io = |source| TargetError::Io { path: self.path.clone(), source };
        for entry in fs::read_dir(&self.path).map_err(io)? {
            let entry = entry.map_err(io)?;
            let is_directory = entry.file_type().map_err(io)?.is_dir();
            let path = entry.path();
            if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) }.map_err(io)?;
        }
        Ok(())
    }
}

impl Drop for PartialDump {
    fn drop(&mut self) {
        if !self.stays {
            // Whoever wants to tell that something is left can look.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Makes the name of a published dump last. Then removes the directory that had it before, wherever beside it a run has
/// left that.
///
/// # Errors
/// The operating system said no; another run holds what is to be removed.
pub fn tidy_up(output: &Path, replaced: Option<&DirectoryId>) -> Result<(), TargetError> {
    let failed = |error: Errno| TargetError::Io { path: output.to_owned(), source: error.into() };
    let parent = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let parent = open(parent, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    fsync(&parent).map_err(failed)?;
    let Some(replaced) = replaced else { return Ok(()) };
    for path in [PARTIAL, REPLACED].map(|suffix| beside(output, suffix)) {
        if DirectoryId::at(&path).as_ref() == Some(replaced)
            && let Some(_held) = lock(&path)?
        {
            fs::remove_dir_all(&path).map_err(|source| TargetError::Io { path, source })?;
        }
    }
    Ok(())
}

/// A path without `/` or `/.` at its end, which would look through a symbolic link.
pub fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

/// A path beside another one: its name and a suffix.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(suffix);
    path.with_file_name(name)
}

/// What is there, itself and not what a symbolic link points to.
fn metadata(path: &Path) -> Result<Option<Metadata>, TargetError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TargetError::Io { path: path.to_owned(), source }),
    }
}

fn check_directory(path: &Path, metadata: &Metadata) -> Result<(), TargetError> {
    if metadata.is_symlink() {
        return Err(TargetError::SymbolicLink(path.to_owned()));
    }
    if metadata.is_dir() { Ok(()) } else { Err(TargetError::NotADirectory(path.to_owned())) }
}

/// Locks a directory; `None` if it has lost its name meanwhile, because the run that held it has ended.
fn lock(path: &Path) -> Result<Option<OwnedFd>, TargetError> {
    let failed = |error: Errno| TargetError::Io { path: path.to_owned(), source: error.into() };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match open(path, flags, Mode::empty()) {
        Ok(directory) => directory,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(TargetError::Busy(path.to_owned())),
        // A file system without locks on directories, such as NFS: two runs to one place are not noticed there.
        Err(Errno::BADF | Errno::INVAL | Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP) => {}
        Err(error) => return Err(failed(error)),
    }
    let held = fstat(&directory).map_err(failed)?;
    let named = metadata(path)?;
    Ok(named
        .is_some_and(|named| (named.dev(), named.ino()) == (held.st_dev, held.st_ino))
        .then_some(directory))
}
