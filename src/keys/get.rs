//! One key's file, to a stream: what an export writes for it, by the same queries and the same code.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use super::Found;
use crate::dump::tree::Tree;
use crate::error::Error;
use crate::family::{Choices, Content, Export, ExportError, Only, named};
use crate::progress::Progress;
use crate::snapshot::encryption::Keyring;
use crate::staging::{LargeValues, Staging};

/// Writes one file of a key to `stream`, which errors call `name`. Nothing of it is held in memory. What comes back is the
/// path that it has in a dump, relative to the root; `None` if a dump has no such file.
///
/// # Errors
/// Whatever the database or the stream says; a value that lies in the snapshot cannot be read again; it is
/// encrypted, and `keys` do not open it.
pub fn get(
    staging: &Staging,
    keys: Option<Arc<Keyring>>,
    found: &Found,
    content: Content,
    name: &Path,
    stream: Box<dyn Write + Send>,
    progress: &dyn Progress,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(family) = named(found.family) else { return Ok(None) };
    let mut tree = Tree::stream(name, stream);
    let mut written =
        |_: &mut Tree, _| if progress.is_interrupted() { Err(ExportError::Interrupted) } else { Ok(()) };
    family.export(&mut Export {
        staging,
        large_values: &LargeValues::new(staging.connection(), keys),
        tree: &mut tree,
        snapshot_ms: staging.fact("snapshot_ms")?.unwrap_or_default(),
        choices: &Choices::default(),
        scopes: &[],
        only: Some(&Only { place: found.place.clone(), content }),
        written_before: None,
        unfinished: &mut None,
        written: &mut written,
    })?;
    tree.settle()?;
    let mut path = None;
    tree.drain_sums(|sum| path = Some(sum.path.to_vec()));
    Ok(path)
}

/// Where the bytes are that a node stores as the value of a key of this type; `None` if they stand in rows of many
/// elements.
pub fn stored_content(key_type: &str) -> Option<Content> {
    match key_type {
        "string" | "hll" | "object" => Some(Content::Value),
        "item" => Some(Content::Stored),
        _ => None,
    }
}
