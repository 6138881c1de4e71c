//! Reading on a thread of its own, ahead of whoever uses the rows. Batches travel between the two in reused buffers, so
//! memory stays the same however long the file is. Short encrypted values are opened on the way, on whichever side has
//! the time: a thread of their own would have to share the processor with these two, and to be waited for. What is in
//! a file is for `reader` to say.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::batch::Batch;
use super::encryption::Keyring;
use super::error::{SnapshotError, Unopened};
use super::facts::Closing;
use super::reader::Reader;

/// Batches there are: one is filled and one is used, while the others wait.
const BATCHES: usize = 4;
/// As many waiting batches say that the reader is ahead enough.
const ENOUGH: usize = BATCHES - 2;

/// What the reading thread hands over.
enum Message {
    /// There may be something left to open in it.
    Batch(Batch),
    Failed(SnapshotError),
    End(Box<Closing>),
}

/// A reader on a thread of its own.
pub struct ReadAhead {
    messages: Receiver<Message>,
    used: Sender<Batch>,
    waiting: Arc<AtomicUsize>,
    name: String,
    keys: Option<Arc<Keyring>>,
    /// The first value that was opened here, and does not open. The file is read on to its end, for its footer.
    unopened: Option<Unopened>,
}

/// What comes next.
pub enum Next {
    /// A batch with everything in it opened. It may be empty. [`ReadAhead::give_back`] takes it when it has been used.
    Batch(Batch),
    /// The file has been read to its end, and its checksums have been found right.
    End(Box<Closing>),
    /// The time is over.
    NothingYet,
    /// The thread has ended without a word.
    Died,
}

impl ReadAhead {
    /// Starts to read. The thread ends with the file, or when this is dropped, as soon as what it reads from answers: an
    /// interrupted run does not wait for standard input.
    pub fn start(reader: Reader) -> Self {
        let (name, keys) = (reader.name().to_owned(), reader.keys());
        let ((full, messages), (used, spare)) = (channel(), channel());
        let waiting = Arc::new(AtomicUsize::new(0));
        for _ in 0..BATCHES {
            // The other end is still in this function.
            let _ = used.send(Batch::default());
        }
        let ahead = Arc::clone(&waiting);
        std::thread::spawn(move || read(reader, &full, &spare, &ahead));
        Self { messages, used, waiting, name, keys, unopened: None }
    }

    /// Waits for what comes next, but no longer than this. Not to be called again after an error or the end.
    ///
    /// # Errors
    /// Those of [`Reader::fill`], whichever side has opened what does not open.
    pub fn next(&mut self, timeout: Duration) -> Result<Next, SnapshotError> {
        let end = match self.messages.recv_timeout(timeout) {
            Ok(Message::Batch(mut batch)) => {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                self.open_in(&mut batch);
                return Ok(Next::Batch(batch));
            }
            Err(RecvTimeoutError::Timeout) => return Ok(Next::NothingYet),
            Ok(Message::End(closing)) => Ok(Next::End(closing)),
            Ok(Message::Failed(error)) => Err(error),
            Err(RecvTimeoutError::Disconnected) => return Ok(Next::Died),
        };
        match self.unopened.take() {
            Some((offset, fault)) => Err(fault.at(&self.name, offset).before(end.err())),
            None => end,
        }
    }

    /// Takes back a batch that has been used.
    pub fn give_back(&self, batch: Batch) {
        // The reader may have come to its end already.
        let _ = self.used.send(batch);
    }

    /// Opens what is left to be opened. From the first batch on in which something does not open, all are empty.
    fn open_in(&mut self, batch: &mut Batch) {
        if self.unopened.is_none() {
            self.unopened = self.keys.as_deref().and_then(|keys| batch.open(keys).err());
        }
        if self.unopened.is_some() {
            batch.clear();
        }
    }
}

/// Fills batches until the file ends, fails, or nobody wants them any more.
fn read(mut reader: Reader, full: &Sender<Message>, spare: &Receiver<Batch>, waiting: &AtomicUsize) {
    while let Ok(mut batch) = spare.recv() {
        let message = match reader.fill_unopened(&mut batch) {
            Ok(true) => {
                if waiting.fetch_add(1, Ordering::Relaxed) >= ENOUGH {
                    // The other side has more than enough to do: better to help than to wait.
                    reader.open_in(&mut batch);
                }
                Message::Batch(batch)
            }
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
