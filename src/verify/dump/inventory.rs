//! Which files there are, and which there should be: the tree is walked, CHECKSUMS is read, and both are compared by
//! name. One folder is open at a time, and no list of names is held in memory.

use std::io::{self, BufRead, BufReader, Read};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};

use super::counts::Counts;
use super::layout::{File, Keys};
use super::{Dump, Subset};
use crate::dump::checksums::{self, MAX_LINE_BYTES};
use crate::dump::tree::CHECKSUMS;
use crate::family::s3::META_SUFFIX;
use crate::progress::Progress;
use crate::snapshot::Readable;
use crate::verify::finding::{Finding, Kind};
use crate::verify::{Findings, VerifyError};

/// Read ahead of the lines of a list.
const READ_AHEAD_BYTES: usize = 64 << 10;

/// The tables of the temporary database.
pub const SCHEMA: &str = "
    CREATE TABLE listed (path BLOB NOT NULL PRIMARY KEY, sha256 BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE found (path BLOB NOT NULL, selected INTEGER NOT NULL) STRICT;
    CREATE TABLE odd (path BLOB NOT NULL, type INTEGER NOT NULL, detail TEXT NOT NULL) STRICT;
    CREATE TABLE beside (path BLOB NOT NULL) STRICT;
    CREATE TABLE folder (id INTEGER PRIMARY KEY, path BLOB NOT NULL) STRICT;
    CREATE TABLE fallback (scope BLOB NOT NULL, name BLOB NOT NULL, path BLOB NOT NULL,
        PRIMARY KEY (scope, name)) STRICT, WITHOUT ROWID;
    CREATE TABLE keymap (scope BLOB NOT NULL, encoded BLOB NOT NULL, original BLOB NOT NULL,
        PRIMARY KEY (scope, encoded)) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX keymap_original ON keymap (scope, original);";

/// What a walk has seen.
#[derive(Default)]
pub struct Walked {
    /// Regular files.
    pub files: u64,
    /// Bytes of those that are to be read.
    pub bytes_selected: u64,
}

/// What stands in the place of a file.
const ODD: [Kind; 4] = [Kind::SymbolicLink, Kind::SpecialFile, Kind::EmptyFolder, Kind::FileUnreadable];

impl Dump<'_> {
    /// Takes CHECKSUMS in; false if there is none.
    pub(in crate::verify) fn read_checksums(&self, findings: &mut Findings<'_>) -> Result<bool, VerifyError> {
        let path = CHECKSUMS.as_bytes();
        let file = match self.file(path) {
            Ok(file) => file,
            Err(error) => {
                findings(Finding::new(Kind::ChecksumsMissing, path, error.to_string()));
                return Ok(false);
            }
        };
        let mut insert = self.scratch.prepare("INSERT OR IGNORE INTO listed (path, sha256) VALUES (?, ?)")?;
        self.scratch.execute_batch("BEGIN")?;
        let mut lines = Lines::new(file, MAX_LINE_BYTES);
        loop {
            let (offset, line) = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    findings(Finding::new(Kind::FileUnreadable, path, error.to_string()));
                    break;
                }
            };
            let parsed = match line {
                Line::Whole(line) => checksums::parse_line(line),
                Line::TooLong | Line::Unended => None,
            };
            match parsed {
                None => {
                    let detail = "this line is not one that sha256sum writes";
                    findings(Finding::new(Kind::ChecksumsMalformed, path, detail).at(offset));
                }
                Some((listed, sha256)) => {
                    if insert.execute((&*listed, sha256))? == 0 {
                        let detail = format!("{} is listed twice", Readable(&listed));
                        findings(Finding::new(Kind::ListedTwice, path, detail).at(offset));
                    }
                }
            }
        }
        self.scratch.execute_batch("COMMIT")?;
        Ok(true)
    }

    /// Walks the tree.
    pub(in crate::verify) fn walk(
        &self,
        subset: Subset,
        counts: &mut Counts,
        progress: &dyn Progress,
        findings: &mut Findings<'_>,
    ) -> Result<Walked, VerifyError> {
        let mut walked = Walked::default();
        let mut open_to_others = (0, Vec::new());
        let scratch = &self.scratch;
        scratch.execute_batch("BEGIN; INSERT INTO folder (path) VALUES (x'')")?;
        let mut next = scratch.prepare("SELECT path FROM folder WHERE id = ?")?;
        let mut folder = scratch.prepare("INSERT INTO folder (path) VALUES (?)")?;
        let mut found = scratch.prepare("INSERT INTO found (path, selected) VALUES (?, ?)")?;
        let mut odd = scratch.prepare("INSERT INTO odd (path, type, detail) VALUES (?, ?, ?)")?;
        let mut fallback =
            scratch.prepare("INSERT OR IGNORE INTO fallback (scope, name, path) VALUES (?, ?, ?)")?;
        let mut beside = scratch.prepare("INSERT INTO beside (path) VALUES (?)")?;
        let mut folders = 0;
        loop {
            folders += 1;
            let at: Vec<u8> = match next.query_row([folders], |row| row.get(0)) {
                Ok(path) => path,
                Err(rusqlite::Error::QueryReturnedNoRows) => break,
                Err(error) => return Err(error.into()),
            };
            let mut entries = 0_u64;
            let mut take = |name: &[u8], stat: &rustix::fs::Stat| -> Result<(), VerifyError> {
                let path = if at.is_empty() { name.to_vec() } else { [&at[..], b"/", name].concat() };
                match FileType::from_raw_mode(stat.st_mode) {
                    FileType::Directory => {
                        folder.execute([path])?;
                    }
                    FileType::RegularFile => {
                        walked.files += 1;
                        if stat.st_mode & 0o077 != 0 {
                            open_to_others.0 += 1;
                            if open_to_others.1.is_empty() || path < open_to_others.1 {
                                open_to_others.1.clone_from(&path);
                            }
                        }
                        // Its lines are its checksum.
                        let selected = path != CHECKSUMS.as_bytes() && subset.holds(&path);
                        if selected {
                            walked.bytes_selected += u64::try_from(stat.st_size).unwrap_or(0);
                        }
                        let file = File::of(&path);
                        counts.add_file(&file);
                        if let Some((scope, names)) = &file.fallbacks {
                            for name in names {
                                fallback.execute((scope, name, &path))?;
                            }
                        }
                        if file.keys == Keys::OneIfBeside {
                            beside.execute([&path])?;
                        }
                        found.execute((&path, selected))?;
                    }
                    FileType::Symlink => {
                        odd.execute((path, 0, "it is not followed"))?;
                    }
                    other => {
                        let what = match other {
                            FileType::Fifo => "a pipe",
                            FileType::Socket => "a socket",
                            _ => "a device",
                        };
                        odd.execute((path, 1, what))?;
                    }
                }
                Ok(())
            };
            let listed = self.list(&at, |name, stat| {
                entries += 1;
                if entries.is_multiple_of(1024) && progress.is_interrupted() {
                    return Err(VerifyError::Interrupted);
                }
                take(name, stat)
            })?;
            if progress.is_interrupted() {
                return Err(VerifyError::Interrupted);
            }
            match listed {
                Err(source) if at.is_empty() => {
                    return Err(VerifyError::Unreadable { path: self.path.to_owned(), source });
                }
                Err(error) => {
                    odd.execute((at, 3, error.to_string()))?;
                }
                Ok(()) if entries == 0 => {
                    odd.execute((at, 2, "nothing is in it"))?;
                }
                Ok(()) => {}
            }
        }
        // An index made at once is sorted outside of memory.
        scratch.execute_batch("COMMIT; CREATE UNIQUE INDEX found_path ON found (path, selected)")?;
        let mut query = scratch.prepare(
            "SELECT path FROM beside b WHERE EXISTS (SELECT 1 FROM found f \
             WHERE f.path = CAST(substr(b.path, 1, length(b.path) - ?) AS BLOB))",
        )?;
        let mut rows = query.query([META_SUFFIX.len() as i64])?;
        while let Some(row) = rows.next()? {
            counts.add_one(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?);
        }
        let mut query = scratch.prepare("SELECT path, type, detail FROM odd ORDER BY path, type")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let path = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            let kind = ODD.get(row.get::<_, u32>(1)? as usize).copied().unwrap_or(Kind::SpecialFile);
            findings(Finding::new(kind, path, row.get::<_, String>(2)?));
        }
        if open_to_others.0 > 0 {
            let detail = format!(
                "{} files can be read by others than their owner; this is the first",
                open_to_others.0
            );
            findings(Finding::new(Kind::ReadableByOthers, &open_to_others.1, detail).note_unless(false));
        }
        Ok(walked)
    }

    /// The entries of a folder; inside, that it cannot be read.
    fn list(
        &self,
        path: &[u8],
        mut take: impl FnMut(&[u8], &rustix::fs::Stat) -> Result<(), VerifyError>,
    ) -> Result<io::Result<()>, VerifyError> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = if path.is_empty() { b"." } else { path };
        let opened = openat(&self.root, name, flags, Mode::empty());
        let mut folder = match opened.and_then(Dir::new) {
            Ok(folder) => folder,
            Err(error) => return Ok(Err(error.into())),
        };
        while let Some(entry) = folder.read() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return Ok(Err(error.into())),
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match folder.fd().and_then(|fd| statat(fd, name, AtFlags::SYMLINK_NOFOLLOW)) {
                Ok(stat) => take(name.to_bytes(), &stat)?,
                Err(error) => return Ok(Err(error.into())),
            }
        }
        Ok(Ok(()))
    }

    /// What is listed and not there, and the other way round.
    pub(in crate::verify) fn compare_names(&self, findings: &mut Findings<'_>) -> Result<(), VerifyError> {
        let mut name = |sql: &str, kind, detail: &str| -> Result<(), VerifyError> {
            let mut query = self.scratch.prepare(sql)?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                let path = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
                findings(Finding::new(kind, path, detail));
            }
            Ok(())
        };
        name(
            "SELECT path FROM listed l WHERE NOT EXISTS (SELECT 1 FROM found f WHERE f.path = l.path) \
             AND NOT EXISTS (SELECT 1 FROM odd o WHERE o.path = l.path) ORDER BY path",
            Kind::FileMissing,
            "CHECKSUMS lists it, and it is not there",
        )?;
        name(
            "SELECT path FROM found f WHERE path <> CAST('CHECKSUMS' AS BLOB) \
             AND NOT EXISTS (SELECT 1 FROM listed l WHERE l.path = f.path) ORDER BY path",
            Kind::FileExtra,
            "CHECKSUMS does not list it",
        )
    }
}

/// The lines of a file, of which only one is in memory.
pub struct Lines {
    file: BufReader<std::fs::File>,
    limit: usize,
    line: Vec<u8>,
    offset: u64,
}

/// One line, without its end.
pub enum Line<'l> {
    /// All of it.
    Whole(&'l [u8]),
    /// It is longer than the limit.
    TooLong,
    /// The file ends in it.
    Unended,
}

impl Lines {
    /// Lines of at most so many bytes.
    pub fn new(file: std::fs::File, limit: usize) -> Self {
        let file = BufReader::with_capacity(READ_AHEAD_BYTES, file);
        Self { file, limit, line: Vec::new(), offset: 0 }
    }

    /// The next line, and where it begins in bytes.
    pub fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        let start = self.offset;
        self.line.clear();
        let read = (&mut self.file).take(self.limit as u64 + 1).read_until(b'\n', &mut self.line)?;
        self.offset += read as u64;
        if read == 0 {
            return Ok(None);
        }
        if self.line.pop_if(|byte| *byte == b'\n').is_some() {
            return Ok(Some((start, Line::Whole(&self.line))));
        }
        if read <= self.limit {
            return Ok(Some((start, Line::Unended)));
        }
        self.offset += self.file.skip_until(b'\n')? as u64;
        Ok(Some((start, Line::TooLong)))
    }
}
