//! Which files to read, and in which order: snapshots by their place in a node's data directory
//! (`docs/format/snapshot.md`, opening and section 1; order: `docs/format/dump.md` section 4).
//! Opens no snapshot.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::SnapshotError;

/// `<raft-data-dir>/<raft id>/group-<N>/fsm-snap/<index>.fsm`: this many folders below the one given, at most.
const DEEPEST_SNAPSHOT: usize = 3;

/// A snapshot file and what its path says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The path as given.
    pub path: PathBuf,
    /// The name of the folder of the Raft member, empty if the path does not tell.
    pub raft_id: Vec<u8>,
    /// The Raft group, 0 if the path names none.
    pub group: u64,
    /// The Raft index, if the file name is one.
    pub index: Option<u64>,
}

impl Located {
    /// Reads a path.
    ///
    /// # Errors
    /// The name of an unfinished write.
    pub fn new(path: &Path) -> Result<Self, SnapshotError> {
        if path.as_os_str().as_bytes().ends_with(b".fsm.tmp") {
            return Err(SnapshotError::Unfinished(path.to_owned()));
        }
        let mut folders =
            path.parent().into_iter().flat_map(Path::ancestors).filter_map(Path::file_name).peekable();
        folders.next_if(|name| *name == "fsm-snap");
        let group = folders.next_if(|name| group_number(name).is_some()).and_then(group_number);
        let raft_id = folders.next().map_or(Vec::new(), |name| name.as_bytes().to_vec());
        Ok(Self { path: path.to_owned(), raft_id, group: group.unwrap_or(0), index: index_of(path) })
    }
}

/// The Raft index that a file name states: 16 hex digits, or another number in decimal
/// (`docs/format/snapshot.md` section 1).
pub fn index_of(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    if stem.len() == 16 && stem.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        u64::from_str_radix(stem, 16).ok()
    } else {
        stem.bytes().all(|byte| byte.is_ascii_digit()).then(|| stem.parse().ok())?
    }
}

/// Is the name one that a node gives: 16 lower-case hex digits and `.fsm` (`docs/format/snapshot.md` section 1)?
pub fn is_node_name(path: &Path) -> bool {
    let stem = path.file_stem().map_or(&b""[..], OsStr::as_bytes);
    is_snapshot_name(path)
        && stem.len() == 16
        && stem.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn group_number(folder: &OsStr) -> Option<u64> {
    folder.to_str()?.strip_prefix("group-")?.parse().ok()
}

/// The inputs of one run in the order in which they are read: by Raft id, group and index, as far as the paths
/// tell. A directory stands for the newest finished snapshot of every group below it.
///
/// # Errors
/// A directory without snapshots, an unfinished file, two files of one group.
pub fn locate(inputs: &[PathBuf]) -> Result<Vec<Located>, SnapshotError> {
    let mut found = Vec::new();
    for input in inputs {
        if input.is_dir() {
            let before = found.len();
            newest_below(input, DEEPEST_SNAPSHOT, &mut found)?;
            if found.len() == before {
                return Err(SnapshotError::NothingIn(input.clone()));
            }
        } else {
            found.push(Located::new(input)?);
        }
    }
    found.sort_by(|a, b| (&a.raft_id, a.group, a.index).cmp(&(&b.raft_id, b.group, b.index)));
    for (i, first) in found.iter().enumerate() {
        if let Some(second) = found[i + 1..].iter().find(|second| same_group(&first.path, &second.path)) {
            return Err(SnapshotError::OneGroupTwice(first.path.clone(), second.path.clone()));
        }
    }
    Ok(found)
}

/// The newest finished snapshot directly in a directory.
///
/// # Errors
/// There is none; the directory cannot be read.
pub fn newest_in(directory: &Path) -> Result<PathBuf, SnapshotError> {
    let mut newest: Option<Located> = None;
    for path in children(directory)?.into_iter().filter(|path| is_snapshot_name(path) && path.is_file()) {
        let located = Located::new(&path)?;
        if newest.as_ref().is_none_or(|newest| (newest.index, &newest.path) < (located.index, &located.path))
        {
            newest = Some(located);
        }
    }
    newest.map(|located| located.path).ok_or_else(|| SnapshotError::NothingIn(directory.to_owned()))
}

fn newest_below(directory: &Path, levels: usize, found: &mut Vec<Located>) -> Result<(), SnapshotError> {
    match newest_in(directory) {
        Ok(path) => found.push(Located::new(&path)?),
        Err(SnapshotError::NothingIn(_)) => {}
        Err(error) => return Err(error),
    }
    if levels > 0 {
        for child in children(directory)?.into_iter().filter(|path| path.is_dir()) {
            newest_below(&child, levels - 1, found)?;
        }
    }
    Ok(())
}

fn is_snapshot_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "fsm")
}

fn children(directory: &Path) -> Result<Vec<PathBuf>, SnapshotError> {
    let unreadable = |source| SnapshotError::Io { name: directory.display().to_string(), source };
    let entries = fs::read_dir(directory).map_err(unreadable)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(unreadable)).collect()
}

/// Two files in one `fsm-snap` folder, or one file given twice.
fn same_group(a: &Path, b: &Path) -> bool {
    let in_snapshot_folder =
        |path: &Path| path.parent().and_then(Path::file_name) == Some(OsStr::new("fsm-snap"));
    let canonical = |path: &Path| fs::canonicalize(path).ok();
    let (folder_a, folder_b) = (a.parent().and_then(canonical), b.parent().and_then(canonical));
    (in_snapshot_folder(a) && folder_a.is_some() && folder_a == folder_b)
        || canonical(a).is_some_and(|a| Some(a) == canonical(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_hex_digits_are_hex_and_other_digits_decimal() {
        let index = |name: &str| index_of(Path::new(name));
        assert_eq!(index("0000000000002710.fsm"), Some(10_000));
        assert_eq!(index("42.fsm"), Some(42));
        assert_eq!(index("18446744073709551616.fsm"), None);
        assert_eq!(index("prod.fsm"), None);
        assert_eq!(index(".fsm"), None);
        assert_eq!(index("00000000000000zz.fsm"), None);
    }

    #[test]
    fn a_node_names_its_files_in_lower_case_hex() {
        let is_node_name = |name: &str| is_node_name(Path::new(name));
        assert!(is_node_name("d/00000000000027af.fsm"));
        let others = ["00000000000027AF.fsm", "00000000000027af.fsm.tmp", "00000000000027af.txt", "42.fsm"];
        assert_eq!(others.map(is_node_name), [false; 4]);
    }

    #[test]
    fn a_path_tells_raft_id_and_group_as_far_as_it_can() {
        let tells = |path: &str| {
            let located = Located::new(Path::new(path)).unwrap();
            (String::from_utf8(located.raft_id).unwrap(), located.group)
        };
        assert_eq!(tells("/d/n1/group-2/fsm-snap/1.fsm"), ("n1".into(), 2));
        assert_eq!(tells("/d/n1/fsm-snap/1.fsm"), ("n1".into(), 0));
        assert_eq!(tells("group-7/1.fsm"), (String::new(), 7));
        assert_eq!(tells("1.fsm"), (String::new(), 0));
    }

    #[test]
    fn a_data_directory_stands_for_the_newest_finished_snapshot_of_every_group() {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "n1/group-2/fsm-snap/0000000000000009.fsm",
            "n1/group-2/fsm-snap/0000000000000010.fsm",
            "n1/group-2/fsm-snap/0000000000000011.fsm.tmp",
            "n1/group-10/fsm-snap/0000000000000003.fsm",
            "n1/group-10/wal/notes.txt",
        ] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        let found = locate(&[root.path().to_owned()]).unwrap();
        assert_eq!(
            found.iter().map(|f| (f.group, f.index)).collect::<Vec<_>>(),
            [(2, Some(16)), (10, Some(3))]
        );
        let both = ["n1/group-2/fsm-snap/0000000000000009.fsm", "n1/group-2/fsm-snap/0000000000000010.fsm"];
        let both = both.map(|file| root.path().join(file));
        assert!(matches!(locate(&both), Err(SnapshotError::OneGroupTwice(..))));
        let unfinished = root.path().join("n1/group-2/fsm-snap/0000000000000011.fsm.tmp");
        assert!(matches!(locate(&[unfinished]), Err(SnapshotError::Unfinished(_))));
        assert!(matches!(locate(&[root.path().join("n1/group-10/wal")]), Err(SnapshotError::NothingIn(_))));
    }
}
