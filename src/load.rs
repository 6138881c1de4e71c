//! A load: snapshots in, staged rows out. A thread of its own reads ahead (parse, checksum, choose versions) while
//! this one feeds SQLite; batches travel between them in reused buffers, so memory stays the same however long the
//! file is. What rows mean is the families' business, what bytes mean the snapshot room's.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::family::{Context, FAMILIES, RowError, Stage, snapshot_time};
use crate::progress::{Phase, Progress};
use crate::snapshot::{
    Batch, Class, Closing, Hlc, Located, Readable, Reader, SnapshotError, is_node_name, rfc3339,
};
use crate::staging::{
    Kind, LargeValues, Staging, StagingError, U64, Warnings, modified_ns, quarantine, read_checkpoint,
    remove, save_checkpoint, save_counts,
};

/// Batches on their way between the two threads.
const BATCHES: usize = 4;

/// A transaction is committed after this many bytes of a snapshot: what a killed load has to do again.
const COMMIT_BYTES: u64 = 16 << 20;

/// Bytes of the beginning and of the end of a file by which it is recognised.
const FINGERPRINT_BYTES: u64 = 64 << 10;

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
    /// Large values go into the database, too, which then needs the snapshots no more.
    pub self_contained: bool,
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

impl Input {
    /// Files can; standard input and pipes cannot.
    fn can_be_read_again(&self) -> bool {
        match self {
            Self::File(located) => located.path.is_file(),
            Self::Stdin => false,
        }
    }
}

struct Opened<'i> {
    input: &'i Input,
    reader: Reader,
    identity: Identity,
}

/// What tells a file from another one, and from itself after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Identity {
    /// As given; not part of the comparison.
    name: String,
    absolute_path: Option<Vec<u8>>,
    bytes: Option<u64>,
    modified_ns: Option<i64>,
    /// SHA-256 of the first and last 64 KiB.
    fingerprint: Option<Vec<u8>>,
}

/// Reads snapshots into the staging database at `path`. If a load of the same snapshots with the same options has
/// been interrupted there, it goes on where that one stopped; if it has come to its end, nothing is left to do.
///
/// # Errors
/// Whatever keeps a snapshot from being read to its end and found right. The database is removed if another try could
/// not do better, and kept for another try otherwise. Another load's database is refused unless `restart` is set.
pub fn stage(
    inputs: &[Input],
    path: &Path,
    restart: bool,
    options: &LoadOptions,
    progress: &dyn Progress,
) -> Result<Staging, Error> {
    let resumable = inputs.iter().all(Input::can_be_read_again);
    let staging = match Staging::open(path) {
        Err(StagingError::Open { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            Staging::create(path)?
        }
        Ok(staging) if restart || !resumable => recreate(staging)?,
        Ok(staging) => staging,
        Err(StagingError::Torn(path)) => {
            tracing::warn!("{} was being written when the machine went down: starting over", path.display());
            remove(&path)?;
            Staging::create(&path)?
        }
        Err(error) => return Err(error.into()),
    };
    match load(inputs, &staging, options, progress) {
        Ok(()) => Ok(staging),
        Err(error) => {
            if !error.is_worth_another_try() {
                drop(staging);
                remove(path)?;
            }
            Err(error)
        }
    }
}

fn recreate(staging: Staging) -> Result<Staging, StagingError> {
    let path = staging.path().to_owned();
    drop(staging);
    remove(&path)?;
    Staging::create(&path)
}

/// Reads snapshots into a staging database that is new, or in which the same load has been interrupted.
///
/// # Errors
/// Whatever keeps a snapshot from being read to its end and found right; another load's database.
pub fn load(
    inputs: &[Input],
    staging: &Staging,
    options: &LoadOptions,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let connection = staging.connection();
    let opened = inputs.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let as_of = read_timestamp(options.as_of, &opened);
    let plan = plan(options, as_of);
    match staging.fact::<String>("plan")? {
        None => begin(staging, options, &plan, as_of, &opened)?,
        Some(begun) => {
            check_same(staging, &begun, &plan, &opened)?;
            if staging.fact::<i64>("complete")?.is_some() {
                return Ok(());
            }
            tracing::info!("going on with the load that was interrupted");
        }
    }

    connection.execute_batch("BEGIN")?;
    let total = opened.iter().map(|one| one.identity.bytes).sum::<Option<u64>>();
    progress.begin(Phase::Load, total);
    let mut warnings = Warnings::read(connection)?;
    let last_commit_ts =
        opened.iter().map(|one| one.reader.opening().last_commit_ts).max().unwrap_or_default();
    for (source, mut one) in opened.into_iter().enumerate() {
        if let Some(as_of) = as_of {
            one.reader.read_as_of(as_of);
        }
        if options.self_contained {
            one.reader.hand_on_everything();
        }
        load_one(source as i64, one, staging, options, &mut warnings, progress)?;
    }
    progress.end();

    progress.begin(Phase::Reconcile, None);
    for family in FAMILIES.iter().filter(|family| is_staged(family.name(), options)) {
        family.reconcile(staging, snapshot_time(as_of, last_commit_ts), &mut warnings)?;
    }
    warnings.save(connection)?;
    staging.set_fact("complete", 1)?;
    connection.execute_batch("COMMIT")?;
    staging.end_unsynced()?;
    progress.end();
    Ok(())
}

/// Everything about a run that its result depends on, in readable form.
fn plan(options: &LoadOptions, as_of: Option<Hlc>) -> String {
    let as_of = as_of.map_or_else(|| "the newest versions".to_owned(), |as_of| format!("as of {}", as_of.0));
    let on_error = match options.on_error {
        OnError::Stop => "stopping at",
        OnError::Quarantine => "quarantining",
    };
    let large_values = if options.self_contained { "included" } else { "by reference" };
    format!(
        "ekvsnap {}, {as_of}, {on_error} malformed rows, adapters {}, large values {large_values}",
        env!("CARGO_PKG_VERSION"),
        options.adapters.join(",")
    )
}

fn begin(
    staging: &Staging,
    options: &LoadOptions,
    plan: &str,
    as_of: Option<Hlc>,
    opened: &[Opened<'_>],
) -> Result<(), Error> {
    staging.begin_unsynced()?;
    staging.connection().execute_batch("BEGIN")?;
    staging.set_fact("tool_version", env!("CARGO_PKG_VERSION"))?;
    staging.set_fact("adapters", options.adapters.join(","))?;
    staging.set_fact("as_of", as_of.map(|as_of| U64(as_of.0)))?;
    staging.set_fact("plan", plan)?;
    for (source, one) in opened.iter().enumerate() {
        enter(staging, source as i64, one)?;
    }
    staging.connection().execute_batch("COMMIT")?;
    Ok(())
}

/// Refuses to go on with something else than what was begun.
fn check_same(staging: &Staging, begun: &str, plan: &str, opened: &[Opened<'_>]) -> Result<(), Error> {
    let other =
        |begun: String, asked: String| Error::OtherRun { staging: staging.path().to_owned(), begun, asked };
    if begun != plan {
        return Err(other(begun.to_owned(), plan.to_owned()));
    }
    let mut query = staging
        .connection()
        .prepare("SELECT path, absolute_path, bytes, modified_ns, fingerprint FROM source ORDER BY id")?;
    let known = query.query_map([], |row| {
        Ok(Identity {
            name: row.get(0)?,
            absolute_path: row.get(1)?,
            bytes: row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned),
            modified_ns: row.get(3)?,
            fingerprint: row.get(4)?,
        })
    })?;
    let known = known.collect::<Result<Vec<_>, _>>()?;
    let asked: Vec<&Identity> = opened.iter().map(|one| &one.identity).collect();
    let same = |a: &Identity, b: &Identity| Identity { name: b.name.clone(), ..a.clone() } == *b;
    if known.len() == asked.len() && known.iter().zip(&asked).all(|(a, b)| same(a, b)) {
        return Ok(());
    }
    let describe = |all: &[&Identity]| all.iter().map(|one| one.describe()).collect::<Vec<_>>().join(", ");
    Err(other(describe(&known.iter().collect::<Vec<_>>()), describe(&asked)))
}

impl Identity {
    fn of(name: &str, file: &File, path: &Path) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let bytes = metadata.len();
        let mut hash = Sha256::new();
        let mut piece = vec![0; FINGERPRINT_BYTES.min(bytes) as usize];
        for start in [0, bytes.saturating_sub(FINGERPRINT_BYTES)] {
            file.read_exact_at(&mut piece, start)?;
            hash.update(&piece);
        }
        Ok(Self {
            name: name.to_owned(),
            absolute_path: Some(std::path::absolute(path)?.as_os_str().as_bytes().to_vec()),
            bytes: Some(bytes),
            modified_ns: Some(modified_ns(&metadata)),
            fingerprint: Some(hash.finalize().to_vec()),
        })
    }

    fn describe(&self) -> String {
        let modified = self.modified_ns.and_then(|ns| rfc3339(ns / 1_000_000));
        match (self.bytes, modified) {
            (Some(bytes), Some(modified)) => format!("{} ({bytes} bytes, modified {modified})", self.name),
            _ => self.name.clone(),
        }
    }
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

/// Reads the beginning of a snapshot.
fn open(input: &Input) -> Result<Opened<'_>, Error> {
    let name = input.name();
    let Input::File(located) = input else {
        let reader = Reader::open(Box::new(io::stdin()), name.clone(), false)?;
        return Ok(Opened { input, reader, identity: Identity { name, ..Identity::default() } });
    };
    let unreadable = |source| SnapshotError::Io { name: name.clone(), source };
    let file = File::open(&located.path).map_err(unreadable)?;
    let seekable = input.can_be_read_again();
    let identity = if seekable {
        Identity::of(&name, &file, &located.path).map_err(unreadable)?
    } else {
        Identity { name: name.clone(), ..Identity::default() }
    };
    let reader = Reader::open(Box::new(file), name.clone(), seekable)?;
    Ok(Opened { input, reader, identity })
}

/// Enters a snapshot among the sources.
fn enter(staging: &Staging, source: i64, one: &Opened<'_>) -> Result<(), Error> {
    let (opening, identity) = (one.reader.opening(), &one.identity);
    let index = match one.input {
        Input::File(located) => located.index,
        Input::Stdin => None,
    };
    let header = opening.header;
    staging.connection().execute(
        "INSERT INTO source (id, path, absolute_path, snapshot_index, header, ceiling_ms, cutover_index, body, \
         last_commit_ts, bytes, modified_ns, fingerprint, complete) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        (
            source,
            &identity.name,
            &identity.absolute_path,
            index.map(U64),
            header.map(|header| format!("EKVTHLC{}", header.version)),
            header.map(|header| U64(header.ceiling_ms)),
            header.and_then(|header| header.cutover_index).map(U64),
            opening.body.name(),
            U64(opening.last_commit_ts.0),
            identity.bytes.map(u64::cast_signed),
            identity.modified_ns,
            &identity.fingerprint,
        ),
    )?;
    Ok(())
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
    let Opened { input, mut reader, identity } = opened;
    let complete = "SELECT complete FROM source WHERE id = ?";
    if staging.connection().query_row(complete, [source], |row| row.get(0))? {
        progress.advance(identity.bytes.unwrap_or(0));
        return Ok(());
    }
    let mut writer = Writer::new(source, identity.name, staging, options)?;
    if let (Input::File(located), Some(checkpoint)) = (input, read_checkpoint(staging.connection(), source)?)
    {
        progress.advance(checkpoint.offset);
        (writer.offset, writer.committed) = (checkpoint.offset, checkpoint.offset);
        let unreadable = |source| SnapshotError::Io { name: input.name(), source };
        let mut file = File::open(&located.path).map_err(unreadable)?;
        file.seek(SeekFrom::Start(checkpoint.offset)).map_err(unreadable)?;
        reader = reader.resume(Box::new(file), checkpoint);
    }
    let resumable = identity.fingerprint.is_some() && reader.leaves_checkpoints();
    let (full, messages) = sync_channel(BATCHES);
    let (empty, spare) = channel();
    for _ in 0..BATCHES {
        // The other end is still in this function.
        let _ = empty.send(Batch::default());
    }
    // Not a scoped thread: an interrupted run does not wait for a read from standard input.
    std::thread::spawn(move || read_ahead(reader, &full, &spare));
    loop {
        // A run that can go on stops at its next checkpoint instead.
        if progress.is_interrupted() && !resumable {
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
            stages.push(family.stage(staging, source)?);
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
        let stop = progress.is_interrupted();
        if let Some(checkpoint) = &batch.checkpoint
            && (stop || self.offset - self.committed >= COMMIT_BYTES)
        {
            self.flush(warnings)?;
            save_checkpoint(self.staging.connection(), self.source, checkpoint)?;
            self.commit(warnings)?;
            if stop {
                return Err(Error::Interrupted);
            }
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

    fn commit(&mut self, warnings: &Warnings) -> Result<(), Error> {
        warnings.save(self.staging.connection())?;
        self.staging.connection().execute_batch("COMMIT; BEGIN")?;
        self.committed = self.offset;
        Ok(())
    }

    /// Enters what is known of the file after its last byte.
    fn finish(mut self, closing: &Closing, input: &Input, warnings: &mut Warnings) -> Result<(), Error> {
        self.flush(warnings)?;
        let connection = self.staging.connection();
        save_counts(connection, self.source, &closing.counts)?;
        connection.execute(
            "UPDATE source SET min_retained_ts = ?, applied_index = ?, oversize_keys = ?, crc32c = ?, bytes = ?,              complete = 1 WHERE id = ?",
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
            // A node writes the footer with the header, and to every file that it names.
            let by_a_node = match input {
                Input::File(located) => is_node_name(&located.path),
                Input::Stdin => false,
            };
            let kind = if self.has_header()? || by_a_node { Kind::FooterMissing } else { Kind::NoFooter };
            warnings.add(kind, self.name.clone());
        }
        connection.execute("DELETE FROM checkpoint WHERE source = ?", [self.source])?;
        self.commit(warnings)
    }

    fn has_header(&self) -> Result<bool, Error> {
        let sql = "SELECT header IS NOT NULL FROM source WHERE id = ?";
        Ok(self.staging.connection().query_row(sql, [self.source], |row| row.get(0))?)
    }
}
