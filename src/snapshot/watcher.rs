//! Opening long encrypted values on a thread of its own, some batches behind the reader, which shows them to it as they
//! stream past. A batch that ends after one takes the same way, and leaves it with everything in it opened; where there is
//! no long value, batches pass by, and whoever takes them opens the short ones. What a value is opened with is for
//! `encryption` to say, what to do about one that does not open for `reader`.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::Builder;

use super::batch::Batch;
use super::encryption::Keyring;
use super::error::{Fault, SnapshotError, Unopened, earlier};
use super::input::Input;
use super::limits::BATCH_BYTES;
use super::row::Watch;

/// Batches on their way to the thread and back: a few, so that neither waits for the other at every one.
const BATCHES: usize = 3;

/// More than what so many batches hold, in bytes, unless there is a giant key in one.
const MANY_BYTES: usize = 2 * BATCHES * BATCH_BYTES;

/// Pieces of long values on their way to the thread.
const PIECES: usize = 8;

enum Work {
    /// With the first value before its end that was opened elsewhere, and does not open.
    Batch(Batch, Option<Unopened>),
    /// A long value begins; its pieces follow, and its end.
    Watch(Box<Watch>),
    /// A stretch of the bytes.
    Piece(Vec<u8>, Range<usize>),
    EndOfWatch,
}

enum Done {
    /// Opened, with the first value so far that does not open.
    Batch(Batch, Option<Unopened>),
    Piece(Vec<u8>),
}

/// The long value that is under way.
enum Watched {
    Nothing,
    /// The thread sees it.
    There,
    /// The thread has more than enough to do: it is seen here.
    Here(Box<Watch>),
}

/// Batches and pieces on their way to the thread and back.
pub(super) struct Watcher {
    keys: Option<Arc<Keyring>>,
    /// The thread is there once there is something to see.
    thread: Option<(Sender<Work>, Receiver<Done>)>,
    /// Batches that are with the thread, and those that have come back.
    out: usize,
    back: VecDeque<(Batch, Option<Unopened>)>,
    spare: Vec<Batch>,
    /// What all of them hold, in bytes.
    bytes: usize,
    /// Pieces that there are, and those that are free.
    pieces: usize,
    free: Vec<Vec<u8>>,
    watched: Watched,
    /// Was there a long value since the last batch?
    has_watched: bool,
    /// The first value since then that was opened here, and does not open.
    unopened_here: Option<Unopened>,
    fault: Option<Unopened>,
}

impl Watcher {
    /// Opens with these keys, if any were given.
    pub fn new(keys: Option<Arc<Keyring>>) -> Self {
        Self {
            keys,
            thread: None,
            out: 0,
            back: VecDeque::new(),
            spare: Vec::new(),
            bytes: 0,
            pieces: 0,
            free: Vec::new(),
            watched: Watched::Nothing,
            has_watched: false,
            unopened_here: None,
            fault: None,
        }
    }

    /// Has a value turned up that does not open?
    pub fn has_fault(&self) -> bool {
        self.fault.is_some()
    }

    /// The first value that does not open.
    pub fn take_fault(&mut self) -> Option<Unopened> {
        self.fault.take()
    }

    /// Takes a batch, and leaves in its place the first of those before it, opened; false if none is yet. A batch that
    /// does not have to wait for the thread stays as it is.
    ///
    /// # Errors
    /// There is no thread.
    pub fn exchange(&mut self, batch: &mut Batch) -> Result<bool, Fault> {
        if self.is_idle() {
            return Ok(true);
        }
        let spare = self.spare.pop().unwrap_or_default();
        self.send_batch(std::mem::replace(batch, spare))?;
        self.receive_ready()?;
        while self.back.is_empty() && self.out >= BATCHES {
            self.receive()?;
        }
        Ok(self.next(batch))
    }

    /// Leaves in place of a batch the first of those before it if they hold so much that none should follow for now.
    ///
    /// # Errors
    /// There is no thread.
    pub fn relieve(&mut self, batch: &mut Batch) -> Result<bool, Fault> {
        if self.bytes <= MANY_BYTES {
            return Ok(false);
        }
        while self.back.is_empty() {
            self.receive()?;
        }
        Ok(self.next(batch))
    }

    /// Takes the last batch and waits for the thread; [`Self::next`] then gives what is left.
    ///
    /// # Errors
    /// There is no thread.
    pub fn finish(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        if self.is_idle() {
            self.bytes += batch.bytes();
            self.back.push_back((std::mem::take(batch), None));
            return Ok(());
        }
        self.send_batch(std::mem::take(batch))?;
        while self.out > 0 {
            self.receive()?;
        }
        Ok(())
    }

    /// Leaves in place of a batch the next one that has come back, with nothing in it from the first value on that does
    /// not open; false if there is none.
    pub fn next(&mut self, batch: &mut Batch) -> bool {
        let Some((opened, fault)) = self.back.pop_front() else { return false };
        self.bytes -= opened.bytes();
        let mut spare = std::mem::replace(batch, opened);
        spare.clear();
        self.spare.push(spare);
        self.fault = earlier(self.fault.take(), fault);
        if self.fault.is_some() {
            batch.clear();
        }
        true
    }

    /// A long value begins that has to be seen.
    ///
    /// # Errors
    /// There is no thread.
    pub fn watch(&mut self, watch: Watch) -> Result<(), Fault> {
        let watch = Box::new(watch);
        self.has_watched = true;
        self.receive_ready()?;
        if self.free.len() + PIECES - self.pieces < PIECES / 2 {
            self.watched = Watched::Here(watch);
            return Ok(());
        }
        self.watched = Watched::There;
        self.send(Work::Watch(watch))
    }

    /// Shows the next bytes of the long value that is under way, if one is.
    ///
    /// # Errors
    /// There is no thread.
    pub fn show(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        match &mut self.watched {
            Watched::Nothing => Ok(()),
            Watched::Here(watch) => {
                watch.opening.look(bytes);
                Ok(())
            }
            Watched::There => {
                let mut piece = self.free_piece()?;
                if piece.len() < bytes.len() {
                    piece.resize(bytes.len(), 0);
                }
                piece[..bytes.len()].copy_from_slice(bytes);
                self.send(Work::Piece(piece, 0..bytes.len()))
            }
        }
    }

    /// Shows as many bytes, of those that `input` has at hand, and moves past them.
    ///
    /// # Errors
    /// There is no thread; the input fails.
    pub fn show_next(&mut self, input: &mut Input, bytes: usize) -> Result<(), SnapshotError> {
        if matches!(self.watched, Watched::There) && input.can_hand_over(bytes) {
            let mut piece = self.free_piece().map_err(|fault| input.fault(0, fault))?;
            let stretch = input.hand_over(&mut piece);
            return self.send(Work::Piece(piece, stretch)).map_err(|fault| input.fault(0, fault));
        }
        let shown = self.show(&input.peek(bytes)?[..bytes]);
        shown.map_err(|fault| input.fault(0, fault))?;
        input.consume(bytes);
        Ok(())
    }

    fn free_piece(&mut self) -> Result<Vec<u8>, Fault> {
        loop {
            if let Some(piece) = self.free.pop() {
                return Ok(piece);
            }
            if self.pieces < PIECES {
                self.pieces += 1;
                return Ok(Vec::new());
            }
            self.receive()?;
        }
    }

    /// The long value that is under way, if one is, has come to its end.
    ///
    /// # Errors
    /// There is no thread.
    pub fn end_watch(&mut self) -> Result<(), Fault> {
        match std::mem::replace(&mut self.watched, Watched::Nothing) {
            Watched::Nothing => {}
            Watched::Here(watch) => {
                self.unopened_here = earlier(self.unopened_here.take(), watch.finish().err())
            }
            Watched::There => self.send(Work::EndOfWatch)?,
        }
        Ok(())
    }

    /// Has no long value passed that a batch is still to wait for, and is no batch before it?
    fn is_idle(&self) -> bool {
        self.out == 0 && self.back.is_empty() && !self.has_watched
    }

    fn send_batch(&mut self, batch: Batch) -> Result<(), Fault> {
        let (unopened_here, bytes) = (self.unopened_here.take(), batch.bytes());
        self.send(Work::Batch(batch, unopened_here))?;
        (self.out, self.bytes, self.has_watched) = (self.out + 1, self.bytes + bytes, false);
        Ok(())
    }

    fn send(&mut self, work: Work) -> Result<(), Fault> {
        if self.thread.is_none() {
            let (keys, (work, todo), (finished, done)) = (self.keys.clone(), channel(), channel());
            Builder::new().spawn(move || open_all(keys.as_deref(), &todo, &finished)).map_err(Fault::Io)?;
            self.thread = Some((work, done));
        }
        let sent = self.thread.as_ref().is_some_and(|(sender, _)| sender.send(work).is_ok());
        if sent { Ok(()) } else { Err(died()) }
    }

    fn receive(&mut self) -> Result<(), Fault> {
        let (_, done) = self.thread.as_ref().ok_or_else(died)?;
        let done = done.recv().map_err(|_| died())?;
        self.take_back(done);
        Ok(())
    }

    /// Takes back what is there, without waiting for more.
    fn receive_ready(&mut self) -> Result<(), Fault> {
        while let Some((_, done)) = &self.thread {
            match done.try_recv() {
                Ok(done) => self.take_back(done),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Err(died()),
            }
        }
        Ok(())
    }

    fn take_back(&mut self, done: Done) {
        match done {
            Done::Piece(piece) => self.free.push(piece),
            Done::Batch(batch, fault) => {
                self.out -= 1;
                self.back.push_back((batch, fault));
            }
        }
    }
}

fn died() -> Fault {
    Fault::Io(io::Error::other("the thread that opens encrypted values has died"))
}

/// Opens what comes, in its order, until nobody sends any more.
fn open_all(keys: Option<&Keyring>, todo: &Receiver<Work>, finished: &Sender<Done>) {
    let (mut watch, mut fault): (Option<Box<Watch>>, Option<Unopened>) = (None, None);
    while let Ok(work) = todo.recv() {
        let done = match work {
            Work::Watch(begun) => {
                watch = Some(begun);
                continue;
            }
            Work::EndOfWatch => {
                fault = earlier(fault, watch.take().and_then(|watch| watch.finish().err()));
                continue;
            }
            Work::Piece(bytes, stretch) => {
                if let Some(watch) = &mut watch {
                    watch.opening.look(&bytes[stretch]);
                }
                Done::Piece(bytes)
            }
            Work::Batch(mut batch, unopened_elsewhere) => {
                fault = earlier(fault, unopened_elsewhere);
                fault = earlier(fault, keys.and_then(|keys| batch.open(keys).err()));
                Done::Batch(batch, fault.take())
            }
        };
        if finished.send(done).is_err() {
            return;
        }
    }
}
