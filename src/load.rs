//! A load: snapshots in, staged rows out. A thread of its own reads ahead (parse, checksum, choose versions) while
//! this one feeds SQLite; batches travel between them in reused buffers, so memory stays the same however long the
//! file is. What rows mean is the families' business, what bytes mean the snapshot room's.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::time::Duration;

use crate::error::Error;
use crate::family::{Context, FAMILIES, RowError, Stage, snapshot_time};
use crate::progress::{Phase, Progress};
use crate::snapshot::{Batch, Class, Closing, Hlc, Located, Readable, Reader, SnapshotError, is_node_name};
use crate::staging::{Kind, LargeValues, Staging, U64, Warnings, modified_ns, quarantine};

/// Batches on their way between the two threads.
const BATCHES: usize = 4;

/// A transaction is committed after this many bytes of a snapshot.
const COMMIT_BYTES: u64 = 64 << 20;

/// How often a run that waits for its input looks whether it should stop.
const INTERRUPT_POLL: Duration = Duration::from_millis(50);

/// At which moment the store is looked at (`docs/format/snapshot.md` section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AsOf {
    /// The newest version of everything.
    #[default]
    Newest,
    /// A moment given as HLC timestamp.
    At(Hlc),
    /// The smallest `last_commit_ts` of the files: a moment that all of them reach.
    Consistent,
}

/// What to do with a row that its family cannot read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// Stop with an error that names it.
    #[default]
    Stop,
    /// Keep it in the table `quarantine` and go on.
    Quarantine,
}

/// How to load.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The moment to look at.
    pub as_of: AsOf,
    /// What to do with malformed rows.
    pub on_error: OnError,
    /// The adapters whose rows are staged; rows of others are only counted.
    pub adapters: Vec<String>,
}

/// One snapshot to read.
#[derive(Clone, Debug)]
pub enum Input {
    /// A file.
    File(Located),
    /// Standard input.
    Stdin,
}

impl Input {
    /// The name in messages and in the manifest.
    pub fn name(&self) -> String {
        match self {
            Self::File(located) => located.path.display().to_string(),
            Self::Stdin => "-".to_owned(),
        }
    }
}

struct Opened<'i> {
    input: &'i Input,
    reader: Reader,
    bytes: Option<u64>,
}

/// Reads snapshots into a new staging database.
///
/// # Errors
/// Whatever keeps a snapshot from being read to its end and found right; the database is then marked incomplete.
pub fn load(
    inputs: &[Input],
    staging: &Staging,
    options: &LoadOptions,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let connection = staging.connection();
    connection.execute_batch("BEGIN")?;
    staging.set_fact("tool_version", env!("CARGO_PKG_VERSION"))?;
    staging.set_fact("adapters", options.adapters.join(","))?;
    let mut opened = Vec::new();
    for (source, input) in inputs.iter().enumerate() {
        opened.push(open(staging, source as i64, input, progress)?);
    }
    let as_of = read_timestamp(options.as_of, &opened);
    staging.set_fact("as_of", as_of.map(|as_of| U64(as_of.0)))?;
    connection.execute_batch("COMMIT; BEGIN")?;

    let total = opened.iter().map(|one| one.bytes).sum::<Option<u64>>();
    progress.begin(Phase::Load, total);
    let mut warnings = Warnings::default();
    let last_commit_ts =
        opened.iter().map(|one| one.reader.opening().last_commit_ts).max().unwrap_or_default();
    for (source, mut one) in opened.into_iter().enumerate() {
        if let Some(as_of) = as_of {
            one.reader.read_as_of(as_of);
        }
        load_one(source as i64, one, staging, options, &mut warnings, progress)?;
    }
    progress.end();

    progress.begin(Phase::Reconcile, None);
    for family in FAMILIES.iter().filter(|family| is_staged(family.name(), options)) {
        if progress.is_interrupted() {
            return Err(Error::Interrupted);
        }
        family.reconcile(staging, snapshot_time(as_of, last_commit_ts), &mut warnings)?;
    }
    warnings.save(connection)?;
    staging.set_fact("complete", 1)?;
    connection.execute_batch("COMMIT")?;
    progress.end();
    Ok(())
}

/// Transactions are looked at whatever was asked for: their intents may be writes of any family.
fn is_staged(family: &str, options: &LoadOptions) -> bool {
    family == "txn" || options.adapters.iter().any(|adapter| adapter == family)
}

fn read_timestamp(as_of: AsOf, opened: &[Opened<'_>]) -> Option<Hlc> {
    match as_of {
        AsOf::Newest => None,
        AsOf::At(as_of) => Some(as_of),
        // An empty state has no timestamp and constrains nothing.
        AsOf::Consistent => {
            opened.iter().map(|one| one.reader.opening().last_commit_ts).filter(|ts| *ts > Hlc(0)).min()
        }
    }
}

/// The beginning of a snapshot.
struct Beginning {
    reader: Reader,
    bytes: Option<u64>,
    modified: Option<i64>,
    absolute: Option<PathBuf>,
}

impl Beginning {
    fn read(input: &Input) -> Result<Self, SnapshotError> {
        let name = input.name();
        let Input::File(located) = input else {
            let reader = Reader::open(Box::new(io::stdin()), name, false)?;
            return Ok(Self { reader, bytes: None, modified: None, absolute: None });
        };
        let unreadable = |source| SnapshotError::Io { name: name.clone(), source };
        let file = File::open(&located.path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        let seekable = metadata.is_file();
        let absolute = std::path::absolute(&located.path).map_err(unreadable)?;
        Ok(Self {
            reader: Reader::open(Box::new(file), name.clone(), seekable)?,
            bytes: seekable.then_some(metadata.len()),
            modified: seekable.then(|| modified_ns(&metadata)),
            absolute: seekable.then_some(absolute),
        })
    }

    /// On a thread of its own: a pipe that nobody writes to would hold up a run that was told to stop.
    fn wait_for(input: &Input, progress: &dyn Progress) -> Result<Self, Error> {
        let (sender, beginning) = channel();
        let input = input.clone();
        std::thread::spawn(move || {
            // Nobody waits any more once the run was told to stop.
            let _ = sender.send(Self::read(&input));
        });
        loop {
            if progress.is_interrupted() {
                return Err(Error::Interrupted);
            }
            match beginning.recv_timeout(INTERRUPT_POLL) {
                Ok(beginning) => return Ok(beginning?),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Error::ReaderDied),
            }
        }
    }
}

/// Enters a snapshot among the sources.
fn open<'i>(
    staging: &Staging,
    source: i64,
    input: &'i Input,
    progress: &dyn Progress,
) -> Result<Opened<'i>, Error> {
    let name = input.name();
    let Beginning { reader, bytes, modified, absolute } = Beginning::wait_for(input, progress)?;
    let opening = *reader.opening();
    let index = match input {
        Input::File(located) => located.index,
        Input::Stdin => None,
    };
    let header = opening.header;
    staging.connection().execute(
        "INSERT INTO source (id, path, absolute_path, snapshot_index, header, ceiling_ms, cutover_index, body, \
         last_commit_ts, bytes, modified_ns, complete) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        (
            source,
            &name,
            absolute.as_deref().map(path_bytes),
            index.map(U64),
            header.map(|header| format!("EKVTHLC{}", header.version)),
            header.map(|header| U64(header.ceiling_ms)),
            header.and_then(|header| header.cutover_index).map(U64),
            opening.body.name(),
            U64(opening.last_commit_ts.0),
            bytes.map(u64::cast_signed),
            modified,
        ),
    )?;
    Ok(Opened { input, reader, bytes })
}

fn path_bytes(path: &Path) -> &[u8] {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes()
}

/// What the reading thread hands over.
enum Message {
    Batch(Batch),
    Failed(SnapshotError),
    End(Box<Closing>),
}

fn load_one(
    source: i64,
    opened: Opened<'_>,
    staging: &Staging,
    options: &LoadOptions,
    warnings: &mut Warnings,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let (full, messages) = sync_channel(BATCHES);
    let (empty, spare) = channel();
    for _ in 0..BATCHES {
        // The other end is still in this function.
        let _ = empty.send(Batch::default());
    }
    let Opened { input, reader, .. } = opened;
    // Not a scoped thread: an interrupted run does not wait for a read from standard input.
    std::thread::spawn(move || read_ahead(reader, &full, &spare));
    let mut writer = Writer::new(source, input.name(), staging, options)?;
    loop {
        if progress.is_interrupted() {
            return Err(Error::Interrupted);
        }
        match messages.recv_timeout(INTERRUPT_POLL) {
            Ok(Message::Batch(batch)) => {
                writer.take(&batch, warnings, progress)?;
                // The reader may have come to its end already.
                let _ = empty.send(batch);
            }
            Ok(Message::Failed(error)) => return Err(error.into()),
            Ok(Message::End(closing)) => return writer.finish(&closing, input, warnings),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Error::ReaderDied),
        }
    }
}

/// Fills batches until the file ends, fails, or nobody wants them any more.
fn read_ahead(mut reader: Reader, full: &SyncSender<Message>, spare: &Receiver<Batch>) {
    while let Ok(mut batch) = spare.recv() {
        let message = match reader.fill(&mut batch) {
            Ok(true) => Message::Batch(batch),
            Ok(false) => match reader.closing() {
                Some(closing) => Message::End(Box::new(closing.clone())),
                None => return,
            },
            Err(error) => Message::Failed(error),
        };
        let last = !matches!(message, Message::Batch(_));
        if full.send(message).is_err() || last {
            return;
        }
    }
}

/// The side that feeds SQLite.
struct Writer<'c> {
    source: i64,
    name: String,
    staging: &'c Staging,
    large_values: LargeValues<'c>,
    /// The stage for each class of rows; `None` for rows that are only counted.
    stages: Vec<Box<dyn Stage + 'c>>,
    stage_of: [Option<usize>; Class::ALL.len()],
    on_error: OnError,
    offset: u64,
    committed: u64,
}

impl<'c> Writer<'c> {
    fn new(source: i64, name: String, staging: &'c Staging, options: &LoadOptions) -> Result<Self, Error> {
        let mut stages = Vec::new();
        let mut stage_of = [None; Class::ALL.len()];
        for family in FAMILIES.iter().filter(|family| is_staged(family.name(), options)) {
            for class in family.classes() {
                stage_of[*class as usize] = Some(stages.len());
            }
            stages.push(family.stage(staging)?);
        }
        let large_values = LargeValues::new(staging.connection());
        let on_error = options.on_error;
        Ok(Self { source, name, staging, large_values, stages, stage_of, on_error, offset: 0, committed: 0 })
    }

    fn take(&mut self, batch: &Batch, warnings: &mut Warnings, progress: &dyn Progress) -> Result<(), Error> {
        if let Some(piece) = batch.piece() {
            self.large_values.keep(self.source, piece)?;
        }
        let mut context = Context { source: self.source, large_values: &self.large_values, warnings };
        for row in batch.rows() {
            let Some(stage) = self.stage_of[row.class as usize] else { continue };
            match self.stages[stage].row(&row, &mut context) {
                Ok(()) => {}
                Err(RowError::Staging(error)) => return Err(error.into()),
                Err(RowError::Malformed(rule)) if self.on_error == OnError::Stop => {
                    let key = Readable(row.user_key).to_string();
                    return Err(Error::MalformedRow {
                        name: self.name.clone(),
                        offset: row.offset,
                        key,
                        rule,
                    });
                }
                Err(RowError::Malformed(rule)) => {
                    quarantine(self.staging.connection(), &self.large_values, self.source, &row, &rule)?;
                    let sample = format!("{} at byte {}: {rule}", Readable(row.user_key), row.offset);
                    context.warnings.add(Kind::QuarantinedRow, sample);
                }
            }
        }
        progress.advance(batch.offset - self.offset);
        self.offset = batch.offset;
        if self.offset - self.committed >= COMMIT_BYTES {
            self.flush(warnings)?;
            self.staging.connection().execute_batch("COMMIT; BEGIN")?;
            self.committed = self.offset;
        }
        Ok(())
    }

    fn flush(&mut self, warnings: &mut Warnings) -> Result<(), Error> {
        let mut context = Context { source: self.source, large_values: &self.large_values, warnings };
        for stage in &mut self.stages {
            stage.flush(&mut context)?;
        }
        Ok(())
    }

    /// Enters what is known of the file after its last byte.
    fn finish(mut self, closing: &Closing, input: &Input, warnings: &mut Warnings) -> Result<(), Error> {
        self.flush(warnings)?;
        let connection = self.staging.connection();
        for (class, verdict, rows) in closing.counts.iter() {
            connection.execute(
                "INSERT INTO row_count (source, class, verdict, rows) VALUES (?, ?, ?, ?)",
                (self.source, class.name(), verdict.name(), rows.cast_signed()),
            )?;
        }
        connection.execute(
            "UPDATE source SET min_retained_ts = ?, applied_index = ?, oversize_keys = ?, crc32c = ?, bytes = ?, \
             complete = 1 WHERE id = ?",
            (
                U64(closing.min_retained_ts.0),
                closing.applied_index.map(U64),
                closing.oversize_keys.cast_signed(),
                closing.crc32c,
                closing.bytes.cast_signed(),
                self.source,
            ),
        )?;
        // Pieces of values that turned out not to count.
        connection.execute(
            "DELETE FROM large_value_piece WHERE source = ?1 AND payload NOT IN \
             (SELECT payload FROM large_value WHERE source = ?1 AND payload IS NOT NULL)",
            [self.source],
        )?;
        warnings.add_many(Kind::OversizeKey, closing.oversize_keys, [self.name.clone()]);
        if closing.crc32c.is_none() {
            // A node writes the footer with the header, and to every file that it names. An empty file is what is left
            // of many a failed copy.
            let by_a_node = match input {
                Input::File(located) => is_node_name(&located.path),
                Input::Stdin => false,
            };
            let kind = if self.has_header()? || by_a_node || closing.bytes == 0 {
                Kind::FooterMissing
            } else {
                Kind::NoFooter
            };
            warnings.add(kind, self.name.clone());
        }
        Ok(())
    }

    fn has_header(&self) -> Result<bool, Error> {
        let sql = "SELECT header IS NOT NULL FROM source WHERE id = ?";
        Ok(self.staging.connection().query_row(sql, [self.source], |row| row.get(0))?)
    }
}
