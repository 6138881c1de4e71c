//! Does a snapshot token, or the `.snap` file that carries it, belong to a snapshot? (`docs/format/snapshot.md` section
//! 1.3, `docs/format/restore.md` section 2.1.)

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::finding::{Finding, Kind};
use super::snapshot::shown;
use crate::error::Error;
use crate::progress::{Phase, Progress};
use crate::snapshot::limits::MAX_SNAP_FILE_BYTES;
use crate::snapshot::{
    Batch, Reader, SnapFile, SnapFileError, SnapshotError, TOKEN_BYTES, Token, TokenError, index_of,
};

/// A file that holds a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenFile {
    /// The token alone, 17 bytes.
    Token(Token),
    /// A `.snap` file.
    Snap(SnapFile),
}

/// Why a file holds no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// It has the length of a token and begins like one.
    #[error("{} holds no snapshot token", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: TokenError,
    },
    /// Any other file.
    #[error("{} is no .snap file, or damaged", path.display())]
    Snap {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: SnapFileError,
    },
}

impl TokenFile {
    /// Reads a file: 17 bytes that begin like a token are one, all others are a `.snap` file.
    ///
    /// # Errors
    /// It is neither.
    pub fn read(path: &Path) -> Result<Self, TokenFileError> {
        let unreadable = |source| TokenFileError::Unreadable { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MAX_SNAP_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() == TOKEN_BYTES && bytes.starts_with(b"EKVT") {
            let token = Token::decode(&bytes);
            return token
                .map(Self::Token)
                .map_err(|error| TokenFileError::Token { path: path.to_owned(), error });
        }
        let snap = SnapFile::decode(&bytes);
        snap.map(Self::Snap).map_err(|error| TokenFileError::Snap { path: path.to_owned(), error })
    }

    /// The token in it.
    pub fn token(&self) -> Token {
        match self {
            Self::Token(token) => *token,
            Self::Snap(snap) => snap.token,
        }
    }
}

/// What a token says of a snapshot, from the snapshot itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotIdentity {
    /// The file.
    pub path: PathBuf,
    /// Raft index by the name of the file, if it is one.
    pub name_index: Option<u64>,
    /// Raft index by the row `_meta_applied_index`, if there is one.
    pub applied_index: Option<u64>,
    /// The CRC-32C footer, verified; `None` if the file carries none.
    pub crc32c: Option<u32>,
}

impl SnapshotIdentity {
    /// Reads a snapshot to its end.
    ///
    /// # Errors
    /// It cannot be read, or is corrupt; the run is to stop.
    pub fn read(path: &Path, progress: &dyn Progress) -> Result<Self, Error> {
        let name = path.display().to_string();
        let unreadable = |source| SnapshotError::Io { name: name.clone(), source };
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()).into());
        }
        progress.begin(Phase::Load, metadata.is_file().then_some(metadata.len()));
        let mut reader = Reader::open(Box::new(file), name, metadata.is_file())?;
        reader.pass_over_versions();
        let (mut batch, mut offset) = (Batch::default(), 0);
        while reader.fill(&mut batch)? {
            if progress.is_interrupted() {
                return Err(Error::Interrupted);
            }
            progress.advance(batch.offset - offset);
            offset = batch.offset;
        }
        progress.end();
        let closing = reader.closing().ok_or(Error::ReaderDied)?;
        Ok(Self {
            path: path.to_owned(),
            name_index: index_of(path),
            applied_index: closing.applied_index,
            crc32c: closing.crc32c,
        })
    }

    /// The Raft index that counts: a node believes its row (`docs/format/restore.md` section 2.4).
    pub fn index(&self) -> Option<u64> {
        self.applied_index.or(self.name_index)
    }
}

/// One thing in which a token and a snapshot should agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// What it is if they do not.
    pub kind: Kind,
    /// What is compared.
    pub name: &'static str,
    /// Do they agree?
    pub agrees: bool,
    /// The file that says something else than it should, if it is one.
    pub path: Option<PathBuf>,
    /// What both say.
    pub detail: String,
}

impl Comparison {
    /// What was found; `None` if they agree.
    pub fn finding(&self) -> Option<Finding> {
        let path = self.path.as_deref().map_or(&b""[..], shown);
        (!self.agrees).then(|| Finding::new(self.kind, path, self.detail.clone()))
    }
}

/// Compares a token with a snapshot. `file` is where the token comes from, if it is a file.
pub fn compare_token(held: &TokenFile, file: Option<&Path>, snapshot: &SnapshotIdentity) -> Vec<Comparison> {
    let token = held.token();
    let mut comparisons = Vec::new();
    let mut compare = |kind, name, agrees: bool, detail: String| {
        let path = if kind == Kind::SnapshotIndexMismatch { Some(&*snapshot.path) } else { file };
        let path = path.map(Path::to_owned);
        comparisons.push(Comparison { kind, name, agrees, path, detail });
    };
    let index = snapshot.index();
    let said = index.map_or_else(|| "none".to_owned(), |index| index.to_string());
    compare(
        Kind::TokenIndexMismatch,
        "index",
        index == Some(token.index),
        format!("the token says {}, the snapshot {said}", token.index),
    );
    let crc = snapshot.crc32c.map_or_else(|| "has none".to_owned(), |crc| format!("{crc:08x}"));
    compare(
        Kind::TokenCrcMismatch,
        "crc32c",
        snapshot.crc32c == Some(token.crc32c),
        format!("the token says {:08x}, the snapshot {crc}", token.crc32c),
    );
    if let (Some(name), Some(applied)) = (snapshot.name_index, snapshot.applied_index) {
        compare(
            Kind::SnapshotIndexMismatch,
            "snapshot name",
            name == applied,
            format!("its name says index {name}, its row _meta_applied_index {applied}"),
        );
    }
    if let TokenFile::Snap(snap) = held {
        compare(
            Kind::SnapIndexMismatch,
            "snap index",
            snap.index == token.index,
            format!("the .snap file says {}, the token in it {}", snap.index, token.index),
        );
        if let Some((term, index)) = file.and_then(term_and_index) {
            compare(
                Kind::SnapNameMismatch,
                "snap name",
                (term, index) == (snap.term, snap.index),
                format!(
                    "its name says term {term} and index {index}, its content term {} and index {}",
                    snap.term, snap.index
                ),
            );
        }
    }
    comparisons
}

/// What the name of a `.snap` file says: `<term>-<index>.snap`, 16 hex digits each.
fn term_and_index(path: &Path) -> Option<(u64, u64)> {
    let (term, index) = path.file_name()?.to_str()?.strip_suffix(".snap")?.split_once('-')?;
    let number = |digits: &str| {
        let is_hex = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u64::from_str_radix(digits, 16).ok())?
    };
    Some((number(term)?, number(index)?))
}
