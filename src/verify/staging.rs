//! A staging database: does SQLite find it whole, do its counters add up, is what it refers to still there?

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::Findings;
use super::finding::{Finding, Kind};
use super::snapshot::{malformed_rows, of_warning, shown};
use crate::error::Error;
use crate::family::FAMILIES;
use crate::progress::{Phase, Progress};
use crate::report::Report;
use crate::snapshot::{Class, Verdict};
use crate::staging::{LargeValues, Staging, StagingError};

/// Damages that SQLite is asked to name, at most.
const DAMAGES: u32 = 100;

/// How often a run that waits for SQLite looks whether it should stop.
const INTERRUPT_POLL: Duration = Duration::from_millis(50);

/// Looks at a staging database without changing it; `None` if it is too damaged to be read.
///
/// # Errors
/// It is none, somebody works on it, or a newer version made it.
pub fn verify_staging(
    path: &Path,
    progress: &dyn Progress,
    findings: &mut Findings<'_>,
) -> Result<Option<Report>, Error> {
    progress.begin(Phase::Reconcile, None);
    let result = look(path, progress, findings);
    progress.end();
    match result {
        Ok(report) => Ok(Some(report)),
        Err(Error::Staging(StagingError::Torn(_))) => {
            findings(Finding::new(Kind::DatabaseDamaged, shown(path), "it cannot be read"));
            Ok(None)
        }
        Err(Error::Staging(StagingError::Sqlite(error))) if is_damage(&error) => {
            findings(Finding::new(Kind::DatabaseDamaged, shown(path), error.to_string()));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A table or column that is not there, or holds what it cannot, is damage as well: the schema is ours.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};
    match error {
        rusqlite::Error::SqliteFailure(error, _) => {
            matches!(error.code, DatabaseCorrupt | NotADatabase | Unknown)
        }
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::QueryReturnedNoRows
        | rusqlite::Error::SqlInputError { .. } => true,
        _ => false,
    }
}

fn look(path: &Path, progress: &dyn Progress, findings: &mut Findings<'_>) -> Result<Report, Error> {
    let staging = Staging::open_read_only(path)?;
    let mut is_damaged = false;
    for damage in damages(path, progress)? {
        is_damaged = true;
        findings(Finding::new(Kind::DatabaseDamaged, shown(path), damage));
    }
    if is_damaged {
        // What counters say of a damaged file is noise.
        return Ok(Report::of(&staging)?);
    }
    if staging.may_be_torn()? {
        let detail = "it was being written when the machine went down";
        findings(Finding::new(Kind::DatabaseDamaged, shown(path), detail));
    }
    let report = Report::of(&staging)?;
    if !report.complete {
        let detail = "run the same load again, and it goes on";
        findings(Finding::new(Kind::LoadUnfinished, shown(path), detail));
    }
    malformed_rows(&staging, findings)?;
    for finding in report.warnings.iter().filter_map(of_warning) {
        findings(finding);
    }
    let mut miscount = |what: &str, stated: i64, there: i64| {
        if stated != there {
            let detail = format!("{what}: the database says {stated}, there are {there}");
            findings(Finding::new(Kind::CountMismatch, shown(path), detail));
        }
    };
    counters(staging.connection(), &report, &mut miscount)?;
    if report.complete {
        for family in FAMILIES {
            if progress.is_interrupted() {
                return Err(Error::Interrupted);
            }
            family.count_again(staging.connection(), &mut miscount)?;
        }
    }
    sources(&staging, findings)?;
    large_values(&staging, path, findings)?;
    Ok(report)
}

/// What SQLite itself finds, asked on a thread and a connection of its own: on a large file it takes minutes, in which
/// nobody else could ask whether to stop.
fn damages(path: &Path, progress: &dyn Progress) -> Result<Vec<String>, Error> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "query_only", true)?;
    let interrupt = connection.get_interrupt_handle();
    let (sender, answer) = channel();
    std::thread::spawn(move || {
        // Nobody waits any more once the run was told to stop.
        let _ = sender.send(ask(&connection));
    });
    loop {
        match answer.recv_timeout(INTERRUPT_POLL) {
            Ok(damages) => return Ok(damages?),
            Err(RecvTimeoutError::Timeout) if progress.is_interrupted() => {
                interrupt.interrupt();
                return Err(Error::Interrupted);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Error::ReaderDied),
        }
    }
}

fn ask(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut query = connection.prepare(&format!("PRAGMA integrity_check({DAMAGES})"))?;
    let said: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut damages: Vec<String> = said.into_iter().filter(|said| said != "ok").collect();
    let mut query = connection
        .prepare("SELECT \"table\", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent, count): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        damages.push(format!("{count} rows of {table} refer to rows of {parent} that are not there"));
    }
    Ok(damages)
}

fn counters(
    connection: &Connection,
    report: &Report,
    miscount: &mut dyn FnMut(&str, i64, i64),
) -> Result<(), Error> {
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    // A class or a verdict that nobody knows would be in no sum that is shown.
    let all = count("SELECT coalesce(sum(rows), 0) FROM row_count")?;
    miscount(
        &format!("rows of the {} classes under {} verdicts", Class::ALL.len(), Verdict::ALL.len()),
        all,
        report.rows.cast_signed(),
    );
    let less = count("SELECT count(*) FROM row_count WHERE rows < 0")?;
    miscount("numbers of rows below 0", 0, less);
    let stated = count("SELECT coalesce((SELECT count FROM warning WHERE kind = 'quarantined_row'), 0)")?;
    miscount("quarantined rows", stated, count("SELECT count(*) FROM quarantine")?);
    let kinds = count("SELECT count(*) FROM warning")?;
    let known = crate::staging::Warnings::read(connection)?.iter().count() as i64;
    miscount("kinds of warnings", kinds, known);
    let samples = "SELECT count(*) FROM warning w WHERE count < max(1, (SELECT count(*) FROM warning_sample s WHERE s.kind = w.kind))";
    miscount("warnings with more examples than cases", 0, count(samples)?);
    if report.complete {
        miscount(
            "snapshots that were not read to their end",
            0,
            count("SELECT count(*) FROM source WHERE NOT complete")?,
        );
    }
    Ok(())
}

/// The snapshots, which an export needs if large values lie in them.
fn sources(staging: &Staging, findings: &mut Findings<'_>) -> Result<(), Error> {
    let connection = staging.connection();
    let large_values = LargeValues::new(connection, None);
    let mut query = connection.prepare(
        "SELECT id, path, EXISTS (SELECT 1 FROM large_value WHERE source = s.id AND payload IS NULL) \
         FROM source s WHERE absolute_path IS NOT NULL ORDER BY id",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (id, path, is_needed): (i64, String, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let kind = match large_values.file(id) {
            Ok(_) => continue,
            Err(StagingError::SourceGone { .. }) => Kind::SourceGone,
            Err(StagingError::SourceChanged(_)) => Kind::SourceChanged,
            Err(error) => return Err(error.into()),
        };
        let detail = if is_needed {
            "large values lie in it: put it back where it was, or load it again"
        } else {
            "no value lies in it: an export does not need it"
        };
        findings(Finding::new(kind, path.as_bytes(), detail).note_unless(is_needed));
    }
    Ok(())
}

/// Are the bytes of every large value there? Those in a file end before it does, the pieces of others follow each other.
fn large_values(staging: &Staging, path: &Path, findings: &mut Findings<'_>) -> Result<(), Error> {
    let mut query = staging.connection().prepare(
        "SELECT v.id, v.length FROM large_value v JOIN source s ON s.id = v.source \
         WHERE v.start < 0 OR v.length < 0 OR v.payload IS NULL AND s.complete AND v.start + v.length > s.bytes \
         UNION ALL \
         SELECT v.id, v.length FROM large_value v \
         JOIN (SELECT source, payload, sum(length(bytes)) AS bytes, max(start + length(bytes)) AS last \
               FROM large_value_piece GROUP BY source, payload) p \
         ON p.source = v.source AND p.payload = v.payload \
         WHERE p.bytes <> p.last OR v.start + v.length > p.last \
         UNION ALL \
         SELECT v.id, v.length FROM large_value v WHERE v.payload IS NOT NULL AND v.length > 0 AND NOT EXISTS \
         (SELECT 1 FROM large_value_piece p WHERE p.source = v.source AND p.payload = v.payload)",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (id, length): (i64, i64) = (row.get(0)?, row.get(1)?);
        let detail = format!("large value {id} of {length} bytes");
        findings(Finding::new(Kind::LargeValueMissing, shown(path), detail));
    }
    Ok(())
}
