//! Where a dump goes, and how it appears: as `<output>.partial` until everything is written, then under its name in
//! one step (`docs/format/dump.md` section 6). Leaves the files inside to `tree`.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    CWD, FlockOperation, Mode, OFlags, RenameFlags, flock, fstat, fsync, open, renameat_with, syncfs,
};
use rustix::io::Errno;

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
        // Without `/` or `/.` at its end, which would look through a symbolic link.
        let output: PathBuf = output.components().collect();
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

    /// A path beside the output: its name and a suffix.
    pub fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.output.file_name().map_or_else(OsString::new, OsString::from);
        name.push(suffix);
        self.output.with_file_name(name)
    }

    /// Makes an empty `<output>.partial` and holds it; what an earlier run left in one is removed.
    ///
    /// # Errors
    /// Another run holds it; it cannot be made.
    pub fn begin(self) -> Result<PartialDump, TargetError> {
        let claim = Claim::of(&self.beside(".partial"))?;
        Ok(PartialDump { target: self, claim })
    }
}

/// An empty directory that one run holds for itself, missing ones above it included. Dropped, it is removed with
/// whatever lies in it.
pub struct Claim {
    path: PathBuf,
    lock: OwnedFd,
    is_given_away: bool,
}

impl Claim {
    /// Makes it. What an earlier run left in one is removed.
    ///
    /// # Errors
    /// Another run holds it; it cannot be made.
    pub fn of(path: &Path) -> Result<Self, TargetError> {
        let io = |source| TargetError::Io { path: path.to_owned(), source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io)?;
        }
        for _ in 0..CLAIMS {
            match fs::create_dir(path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if let Some(metadata) = metadata(path)? {
                        check_directory(path, &metadata)?;
                    }
                }
                Err(source) => return Err(io(source)),
            }
            let Some(lock) = lock(path)? else { continue };
            let claim = Self { path: path.to_owned(), lock, is_given_away: false };
            claim.clear()?;
            return Ok(claim);
        }
        Err(TargetError::Busy(path.to_owned()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what lies in it, but not the directory itself, which carries the lock.
    fn clear(&self) -> Result<(), TargetError> {
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

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_given_away {
            // Whoever wants to tell that something is left can look.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// A dump that is being written. Dropped before it is published, it is removed.
pub struct PartialDump {
    target: Target,
    claim: Claim,
}

impl PartialDump {
    /// Where its files go.
    pub fn path(&self) -> &Path {
        self.claim.path()
    }

    /// Makes it last, and gives it its name.
    ///
    /// # Errors
    /// The operating system said no; a directory that has come into being meanwhile is not replaced without force.
    pub fn publish(mut self) -> Result<(), TargetError> {
        let output = self.target.output.clone();
        let failed = |error: Errno| TargetError::Io { path: output.clone(), source: error.into() };
        syncfs(&self.claim.lock).map_err(failed)?;
        let replaced = match renameat_with(CWD, self.path(), CWD, &output, RenameFlags::NOREPLACE) {
            Ok(()) => None,
            // Over an empty directory a plain rename succeeds, over any other it fails.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS) => match fs::rename(self.path(), &output) {
                Ok(()) => None,
                Err(_) if self.target.force => Some(self.replace()?),
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    return Err(TargetError::Exists(output));
                }
                Err(source) => return Err(TargetError::Io { path: output, source }),
            },
            Err(error) => return Err(failed(error)),
        };
        self.claim.is_given_away = true;
        let parent = match output.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let parent = open(parent, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
        fsync(&parent).map_err(failed)?;
        match replaced {
            Some(old) => fs::remove_dir_all(&old).map_err(|source| TargetError::Io { path: old, source }),
            None => Ok(()),
        }
    }

    /// Puts the new dump into the place of the old one, which stays whole until then, and says where the old one
    /// is now.
    fn replace(&self) -> Result<PathBuf, TargetError> {
        let (output, old) = (&self.target.output, self.target.beside(".replaced"));
        let failed = |source| TargetError::Io { path: output.clone(), source };
        if let Some(metadata) = metadata(output)? {
            check_directory(output, &metadata)?;
        }
        match renameat_with(CWD, self.path(), CWD, output, RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(self.path().to_owned()),
            // A file system that cannot exchange two names.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            Err(error) => return Err(failed(error.into())),
        }
        fs::rename(output, &old).map_err(failed)?;
        match fs::rename(self.path(), output) {
            Ok(()) => Ok(old),
            Err(source) => {
                // Whatever comes of this, the first error says more.
                let _ = fs::rename(&old, output);
                Err(failed(source))
            }
        }
    }
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
