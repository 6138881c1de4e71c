//! A snapshot, read to its end the way a load reads it: its checksums, every row of it, what is odd about the whole.

use std::path::Path;
use std::sync::Arc;

use super::finding::{Finding, Kind};
use super::{Findings, VerifyError};
use crate::error::Error;
use crate::load::{Input, LoadOptions, OnError, load};
use crate::progress::Progress;
use crate::report::{Report, WarningReport};
use crate::snapshot::SnapshotError;
use crate::snapshot::encryption::Keyring;
use crate::staging::{self, Staging, column};

/// Reads snapshots into a temporary staging database in TMPDIR, and says what is wrong with them. What was read by the
/// first corrupt byte is looked at all the same.
///
/// # Errors
/// A snapshot cannot be read at all: it is not there, or of a kind that this version does not read.
pub fn verify_snapshot(
    inputs: &[Input],
    adapters: Vec<String>,
    keys: Option<Arc<Keyring>>,
    progress: &dyn Progress,
    findings: &mut Findings<'_>,
) -> Result<Report, Error> {
    let folder = temporary_folder()?;
    let staging = Staging::create(&folder.path().join("verify.db"))?;
    let options = LoadOptions { on_error: OnError::Quarantine, adapters, keys, ..LoadOptions::default() };
    let fault = match load(inputs, &staging, &options, progress) {
        Ok(()) => None,
        Err(Error::Snapshot(error)) => Some(broken(error)?),
        Err(error) => return Err(error),
    };
    malformed_rows(&staging, findings)?;
    if let Some(fault) = fault {
        findings(fault);
    }
    let report = Report::of(&staging)?;
    for warning in &report.warnings {
        if let Some(finding) = of_warning(warning) {
            findings(finding);
        }
    }
    Ok(report)
}

/// A folder that is gone when the verification is.
pub(super) fn temporary_folder() -> Result<tempfile::TempDir, VerifyError> {
    tempfile::tempdir().map_err(|source| VerifyError::Unreadable { path: std::env::temp_dir(), source })
}

/// What a snapshot that is corrupt or truncated is found to be.
///
/// # Errors
/// Every other error of a snapshot.
pub fn broken(error: SnapshotError) -> Result<Finding, Error> {
    match error {
        SnapshotError::Corrupt { name, offset, what } => {
            Ok(Finding::new(Kind::SnapshotCorrupt, name.as_bytes(), what.to_string()).at(offset))
        }
        SnapshotError::Truncated { name, offset, end, inside } => {
            let detail = format!("it ends at byte {end}, inside the {inside} that begins here");
            Ok(Finding::new(Kind::SnapshotTruncated, name.as_bytes(), detail).at(offset))
        }
        SnapshotError::Encrypted(row) if !row.is_of_keys() && !row.is_newer() => {
            Ok(Finding::new(Kind::SnapshotCorrupt, row.name.as_bytes(), row.to_string()).at(row.offset))
        }
        error => Err(error.into()),
    }
}

/// Every row in the quarantine.
pub(super) fn malformed_rows(staging: &Staging, findings: &mut Findings<'_>) -> Result<(), Error> {
    let connection = staging.connection();
    let mut query = connection.prepare(
        "SELECT s.path, q.byte_offset, \
         iif(s.body = 'EKVMVCC2', q.raw_key, CAST(substr(q.raw_key, 1, length(q.raw_key) - 8) AS BLOB)), q.rule FROM quarantine q JOIN source s ON s.id = q.source \
         ORDER BY q.source, q.byte_offset",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (path, rule): (String, String) = (row.get(0)?, row.get(3)?);
        // Without the timestamp behind it.
        let user_key = column::blob(row, 2)?;
        findings(
            Finding::new(Kind::MalformedRow, path.as_bytes(), rule)
                .at(row.get::<_, i64>(1)?.cast_unsigned())
                .of_key(user_key),
        );
    }
    Ok(())
}

/// A warning of the load; those about rows in the quarantine are named one by one.
pub(super) fn of_warning(warning: &WarningReport) -> Option<Finding> {
    let kind = staging::Kind::from_name(warning.kind)?;
    if kind == staging::Kind::QuarantinedRow {
        return None;
    }
    let samples = warning.samples.iter().take(3).map(String::as_str).collect::<Vec<_>>().join("; ");
    let more = if warning.count > 3 { "; …" } else { "" };
    let detail = format!("{} ({}): {samples}{more}", warning.meaning, warning.count);
    Some(Finding::new(Kind::Warning(kind), b"", detail).note_unless(warning.means_incomplete))
}

/// A path as it stands in findings.
pub(super) fn shown(path: &Path) -> &[u8] {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes()
}
