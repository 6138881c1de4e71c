//! Directories of a tree, and files in them: made and opened relative to a directory that is open, never through a
//! symbolic link. What is written to a file is left to `writer`.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, open, openat, unlinkat};
use rustix::io::Errno;

use super::TreeError;

/// A directory of the tree. It is made and opened by whoever needs it first, and closed when its last file is written:
/// a tree may have more directories than a process can hold open.
pub struct Directory {
    pub(super) path: PathBuf,
    /// Relative to the root, with `/` at the end unless it is the root.
    prefix: String,
    parent: Option<Arc<Directory>>,
    handle: OnceLock<OwnedFd>,
}

impl Directory {
    /// The root of a tree; opened by whoever needs it first.
    pub(super) fn root_at(path: &Path) -> Self {
        Self { path: path.to_owned(), prefix: String::new(), parent: None, handle: OnceLock::new() }
    }

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
    pub(super) fn root(&self) -> &Path {
        self.parent.as_ref().map_or(&self.path, |parent| parent.root())
    }

    pub(super) fn handle(&self) -> Result<&OwnedFd, TreeError> {
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

/// The directory that a writer was in last, of those that it makes itself: files come sorted by their path, so the next
/// one mostly goes there, too.
pub(super) struct Folder {
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
pub(super) fn in_folder(
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

/// Always a new file: what has the name already is not written through, whatever it is.
pub(super) fn create(directory: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
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
