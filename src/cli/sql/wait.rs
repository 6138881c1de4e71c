//! What somebody sees who waits for a query: after half a second, that it works, and the rows so far.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use crate::cli::log::Manners;
use crate::cli::progress::spinner;

/// Shorter waits need no sign.
const PATIENCE: Duration = Duration::from_millis(500);

/// The wait for one query after the other.
pub struct Wait {
    draws: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// While a query runs and has not been shown.
    since: Option<Instant>,
    rows: u64,
    bar: Option<ProgressBar>,
}

impl Wait {
    pub fn new(manners: &Manners) -> Self {
        Self { draws: manners.draws(), state: Mutex::default() }
    }

    fn with(&self, act: impl FnOnce(&mut State)) {
        if self.draws {
            act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// A query begins.
    pub fn begin(&self) {
        self.with(|state| *state = State { since: Some(Instant::now()), ..State::default() });
    }

    /// A good moment to draw, if it is time. To be called often.
    pub fn draw(&self) {
        self.with(|state| {
            if state.bar.is_none() && state.since.is_some_and(|since| since.elapsed() > PATIENCE) {
                let bar = spinner("querying   {spinner} {human_pos} rows  {elapsed}");
                bar.set_position(state.rows);
                state.bar = Some(bar);
            }
        });
    }

    /// Another row has come.
    pub fn count_row(&self) {
        self.with(|state| {
            state.rows += 1;
            if let Some(bar) = &state.bar {
                bar.inc(1);
            }
        });
    }

    /// The query is over, or its rows are seen.
    pub fn end(&self) {
        self.with(|state| {
            state.since = None;
            if let Some(bar) = state.bar.take() {
                bar.finish_and_clear();
            }
        });
    }
}
