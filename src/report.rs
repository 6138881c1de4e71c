//! What a staging database holds, in numbers: the sources, every row by class, the keys by family, the warnings.
//! The summary of a run, `info` and the manifest all say what is read here.

use rusqlite::Connection;
use serde::{Serialize, Serializer};

use crate::family::{ADAPTERS, FAMILIES};
use crate::snapshot::encryption::State;
use crate::snapshot::{Class, Hlc, Verdict};
use crate::staging::{Kind, Staging, StagingError, U64, Warnings};

/// One snapshot that was read.
#[derive(Clone, Debug, Serialize)]
pub struct SourceReport {
    /// As given.
    pub path: String,
    /// Raft index, from the file name or from the row `_meta_applied_index`.
    pub snapshot_index: Option<u64>,
    /// `EKVTHLC1`, `EKVTHLC2` or none.
    pub header: Option<String>,
    /// Wall-clock ceiling of the header, Unix ms.
    pub ceiling_ms: Option<u64>,
    /// Raft envelope cutover index of an `EKVTHLC2` header.
    pub cutover_index: Option<u64>,
    /// Format of the body.
    pub body: String,
    /// HLC.
    pub last_commit_ts: u64,
    /// The same as a time.
    pub last_commit_time: Option<String>,
    /// HLC; `None` if the file was not read to its end.
    pub min_retained_ts: Option<u64>,
    /// The verified footer, 8 hex digits.
    pub crc32c: Option<String>,
    /// Length of the file.
    pub bytes: Option<u64>,
    /// What an SST bundle is made of; `None` of other bodies, and until it was read to its end.
    pub tables: Option<TablesReport>,
    /// Rows read, all classes together.
    pub rows: u64,
    /// Was it read to its end and found right?
    pub complete: bool,
    /// Where an interrupted load goes on, in bytes; 0 if it starts over.
    pub resumes_at: u64,
}

/// The SSTables of a bundle.
#[derive(Clone, Debug, Serialize)]
pub struct TablesReport {
    /// Number of tables.
    pub count: u64,
    /// Bytes of all tables.
    pub bytes: u64,
    /// Data blocks stored as they are.
    pub raw_blocks: u64,
    /// Data blocks stored compressed.
    pub snappy_blocks: u64,
}

/// The rows of one class.
#[derive(Clone, Debug, Serialize)]
pub struct ClassReport {
    /// The class.
    pub class: &'static str,
    /// All its rows.
    pub rows: u64,
    /// The rows under each verdict that came up.
    #[serde(serialize_with = "as_object")]
    pub verdicts: Vec<(&'static str, u64)>,
}

/// The versioned rows whose values are in one state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateReport {
    /// `clear`, `tombstone` or `encrypted`.
    pub state: &'static str,
    /// The key that encrypts them.
    pub key_id: Option<u32>,
    /// How many.
    pub rows: u64,
}

/// The keys of one family.
#[derive(Clone, Debug, Serialize)]
pub struct FamilyReport {
    /// The family.
    pub family: &'static str,
    /// All its keys.
    pub keys: u64,
    /// The keys of each kind.
    #[serde(serialize_with = "as_object")]
    pub kinds: Vec<(String, u64)>,
}

/// One kind of warning.
#[derive(Clone, Debug, Serialize)]
pub struct WarningReport {
    /// The kind.
    pub kind: &'static str,
    /// How often it came up.
    pub count: u64,
    /// What it means.
    pub meaning: &'static str,
    /// Does the dump lack something for it?
    pub means_incomplete: bool,
    /// The first few.
    pub samples: Vec<String>,
}

impl WarningReport {
    fn new(kind: Kind, count: u64, samples: Vec<String>) -> Self {
        let (meaning, means_incomplete) = (kind.meaning(), kind.means_incomplete());
        Self { kind: kind.name(), count, meaning, means_incomplete, samples }
    }
}

/// In JSON, names are fields.
fn as_object<S: Serializer, N: Serialize>(counts: &[(N, u64)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(counts.iter().map(|(name, count)| (name, count)))
}

/// Everything about a staging database. `info --json` prints these fields; ones may be added, but none is renamed.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of ekvsnap that loaded it.
    pub tool_version: String,
    /// Did the load come to its end?
    pub complete: bool,
    /// The read timestamp (HLC), if one was given.
    pub as_of: Option<u64>,
    /// The adapters whose rows were staged.
    pub adapters: Vec<String>,
    /// The snapshots.
    pub sources: Vec<SourceReport>,
    /// Every class, also those without rows; they add up to [`Self::rows`].
    pub classes: Vec<ClassReport>,
    /// All rows read.
    pub rows: u64,
    /// Versioned rows by the state of their value.
    pub row_states: Vec<StateReport>,
    /// Keys of the families that were staged.
    pub families: Vec<FamilyReport>,
    /// Rows in the table `quarantine`.
    pub quarantined_rows: u64,
    /// What an operator should know.
    pub warnings: Vec<WarningReport>,
    /// Files that an unfinished export has written so far; `None` if there is none.
    pub unfinished_export: Option<u64>,
}

impl Report {
    /// Reads all of it.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn of(staging: &Staging) -> Result<Self, StagingError> {
        Self::limited(staging, |_| true)
    }

    /// Reads what matters to these adapters: keys of others are not counted, and that they are not read is no
    /// warning.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn of_adapters(staging: &Staging, adapters: &[String]) -> Result<Self, StagingError> {
        Self::limited(staging, |name| adapters.iter().any(|adapter| adapter == name))
    }

    fn limited(staging: &Staging, wanted: impl Fn(&str) -> bool) -> Result<Self, StagingError> {
        let connection = staging.connection();
        let sources = sources(connection)?;
        let classes = classes(connection)?;
        let adapters: String = staging.fact("adapters")?.unwrap_or_default();
        let adapters: Vec<String> =
            adapters.split(',').filter(|name| wanted(name)).map(str::to_owned).collect();
        let complete = staging.fact::<i64>("complete")?.is_some();
        let mut families = Vec::new();
        for family in
            FAMILIES.iter().filter(|family| complete && adapters.iter().any(|name| name == family.name()))
        {
            let kinds = family.keys(connection)?;
            let keys = kinds.iter().map(|(_, keys)| keys).sum();
            families.push(FamilyReport { family: family.name(), keys, kinds });
        }
        let unfinished_export = match staging.fact::<String>("export_plan")? {
            Some(_) => Some(count(connection, "SELECT count(*) FROM dump_file")?),
            None => None,
        };
        let mut warnings = Warnings::read(connection)?;
        note_unread(&classes, &adapters, &mut warnings);
        Ok(Self {
            tool_version: staging.fact("tool_version")?.unwrap_or_default(),
            complete,
            as_of: staging.fact::<U64>("as_of")?.map(|as_of| as_of.0),
            adapters,
            sources,
            rows: sum(classes.iter().map(|class| class.rows)),
            classes,
            row_states: row_states(connection)?,
            families,
            quarantined_rows: count(connection, "SELECT count(*) FROM quarantine")?,
            unfinished_export,
            warnings: warnings
                .iter()
                .map(|(kind, warning)| WarningReport::new(kind, warning.count, warning.samples.clone()))
                .collect(),
        })
    }

    /// Adds a kind of warning that only an export knows of.
    pub fn add_warning(&mut self, kind: Kind, count: u64, samples: Vec<String>) {
        self.warnings.push(WarningReport::new(kind, count, samples));
        self.warnings.sort_by_key(|warning| warning.kind);
    }

    /// Key ids, and the rows encrypted under each.
    pub fn encrypted_rows(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.row_states.iter().filter_map(|state| Some((state.key_id?, state.rows)))
    }

    /// The greatest commit timestamp of the files.
    pub fn last_commit_ts(&self) -> Hlc {
        Hlc(self.sources.iter().map(|source| source.last_commit_ts).max().unwrap_or(0))
    }

    /// Does a warning mean that a dump of these adapters is not whole?
    pub fn is_incomplete(&self) -> bool {
        self.warnings.iter().any(|warning| warning.means_incomplete)
    }
}

/// Rows of the filesystem adapter have no family yet: whoever wants everything lacks them.
fn note_unread(classes: &[ClassReport], adapters: &[String], warnings: &mut Warnings) {
    if ADAPTERS.iter().all(|adapter| adapters.iter().any(|asked| asked == adapter)) {
        let class = Class::Internal.name();
        let report = classes.iter().filter(|report| report.class == class);
        let visible =
            report.flat_map(|report| &report.verdicts).filter(|(of, _)| *of == Verdict::Visible.name());
        let rows = visible.map(|(_, rows)| rows).sum();
        warnings.add_many(Kind::FamilyNotRead, rows, [format!("{class}: {rows} rows")]);
    }
}

fn sources(connection: &Connection) -> Result<Vec<SourceReport>, StagingError> {
    let mut query = connection.prepare(
        "SELECT path, coalesce(snapshot_index, applied_index), header, ceiling_ms, cutover_index, body, \
         last_commit_ts, min_retained_ts, crc32c, bytes, complete, \
         (SELECT coalesce(sum(rows), 0) FROM row_count WHERE source = id), \
         coalesce((SELECT byte_offset FROM checkpoint WHERE source = id), 0), \
         tables, table_bytes, raw_blocks, snappy_blocks FROM source ORDER BY id",
    )?;
    let sources = query.query_map([], |row| {
        let unsigned = |column| row.get::<_, Option<U64>>(column).map(|number| number.map(|number| number.0));
        let last_commit_ts = row.get::<_, U64>(6)?.0;
        let number = |column| row.get::<_, Option<i64>>(column).map(|n| n.unwrap_or(0).cast_unsigned());
        let tables = match row.get::<_, Option<i64>>(13)? {
            Some(tables) => Some(TablesReport {
                count: tables.cast_unsigned(),
                bytes: number(14)?,
                raw_blocks: number(15)?,
                snappy_blocks: number(16)?,
            }),
            None => None,
        };
        Ok(SourceReport {
            path: row.get(0)?,
            snapshot_index: unsigned(1)?,
            header: row.get(2)?,
            ceiling_ms: unsigned(3)?,
            cutover_index: unsigned(4)?,
            body: row.get(5)?,
            last_commit_ts,
            last_commit_time: Hlc(last_commit_ts).to_rfc3339(),
            min_retained_ts: unsigned(7)?,
            crc32c: row.get::<_, Option<u32>>(8)?.map(|crc| format!("{crc:08x}")),
            bytes: row.get::<_, Option<i64>>(9)?.map(i64::cast_unsigned),
            tables,
            complete: row.get(10)?,
            rows: row.get::<_, i64>(11)?.cast_unsigned(),
            resumes_at: row.get::<_, i64>(12)?.cast_unsigned(),
        })
    })?;
    Ok(sources.collect::<Result<_, _>>()?)
}

fn classes(connection: &Connection) -> Result<Vec<ClassReport>, StagingError> {
    let mut query = connection.prepare("SELECT sum(rows) FROM row_count WHERE class = ? AND verdict = ?")?;
    let mut classes = Vec::new();
    for class in Class::ALL {
        let mut verdicts = Vec::new();
        for verdict in Verdict::ALL {
            let rows: Option<i64> = query.query_row((class.name(), verdict.name()), |row| row.get(0))?;
            if let Some(rows) = rows {
                verdicts.push((verdict.name(), rows.cast_unsigned()));
            }
        }
        let rows = sum(verdicts.iter().map(|(_, rows)| *rows));
        classes.push(ClassReport { class: class.name(), rows, verdicts });
    }
    Ok(classes)
}

/// Numbers of a damaged database may be any.
fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

fn row_states(connection: &Connection) -> Result<Vec<StateReport>, StagingError> {
    let mut query = connection.prepare(
        "SELECT key_id, sum(rows) FROM row_state_count WHERE state = ? GROUP BY key_id ORDER BY key_id",
    )?;
    let mut states = Vec::new();
    for state in State::ALL {
        let mut rows = query.query([state.name()])?;
        while let Some(row) = rows.next()? {
            let key_id = (state == State::Encrypted).then(|| row.get(0)).transpose()?;
            let rows = row.get::<_, i64>(1)?.cast_unsigned();
            states.push(StateReport { state: state.name(), key_id, rows });
        }
    }
    Ok(states)
}

fn count(connection: &Connection, sql: &str) -> Result<u64, StagingError> {
    Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?.cast_unsigned())
}
