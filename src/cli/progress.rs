//! Progress bars, drawn only on a terminal.

use std::sync::Mutex;
use std::time::Duration;

use ekvsnap::progress::{Phase, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use rusqlite::Connection;

use super::interrupt::Interrupt;
use super::log::Manners;

/// Steps of SQLite's machine between two looks for a signal: a few milliseconds.
const STEPS_BETWEEN_LOOKS: i32 = 100_000;
/// A sign that something works whose end nobody knows.
pub fn spinner(template: &str) -> ProgressBar {
    drawn(ProgressBar::new_spinner(), template)
}

fn drawn(bar: ProgressBar, template: &str) -> ProgressBar {
    // A template that does not parse would show the default bar.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A bar per phase, and an ear for signals.
pub struct Bars {
    draws: bool,
    bar: Mutex<ProgressBar>,
    interrupt: Interrupt,
}

impl Bars {
    /// Bars as the manners allow them.
    pub fn new(manners: &Manners) -> anyhow::Result<Self> {
        let bar = Mutex::new(ProgressBar::hidden());
        Ok(Self { draws: manners.draws(), bar, interrupt: Interrupt::listen()? })
    }

    /// Lets others write to the terminal while a bar is drawn.
    pub fn suspend(&self, act: impl FnOnce()) {
        match self.bar.lock() {
            Ok(bar) if self.draws => bar.suspend(act),
            _ => act(),
        }
    }

    /// Lets a signal end what a connection is busy with, also while nobody asks whether it should.
    pub fn stop(&self, connection: &Connection) -> rusqlite::Result<()> {
        let interrupt = self.interrupt.clone();
        connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || interrupt.is_set()))
    }

    fn with(&self, act: impl FnOnce(&mut ProgressBar)) {
        if self.draws
            && let Ok(mut bar) = self.bar.lock()
        {
            act(&mut bar);
        }
    }
}

/// A run that ends early leaves no bar behind, so that its last words stand alone.
impl Drop for Bars {
    fn drop(&mut self) {
        self.with(|bar| bar.finish_and_clear());
    }
}

impl Progress for Bars {
    fn begin(&self, phase: Phase, total: Option<u64>) {
        self.with(|bar| {
            let (known, unknown) = match phase {
                Phase::Load => (
                    "loading    {wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
                    "loading    {spinner} {bytes}  {bytes_per_sec}",
                ),
                Phase::Reconcile => ("", "checking   {spinner} types, expiries, lengths"),
                Phase::Export => (
                    "exporting  {wide_bar} {human_pos}/{human_len} keys  {eta} left",
                    "exporting  {spinner} {human_pos} keys",
                ),
                Phase::Look => ("", "looking    {spinner} {human_pos} keys"),
                Phase::Verify => (
                    "verifying  {wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
                    "verifying  {spinner} looking for files",
                ),
            };
            // The thread that turns a spinner may hold it a little longer than this one does.
            bar.finish_and_clear();
            *bar = match total {
                Some(total) => drawn(ProgressBar::new(total), known),
                None => spinner(unknown),
            };
        });
    }

    fn advance(&self, by: u64) {
        self.with(|bar| bar.inc(by));
    }

    fn end(&self) {
        self.with(|bar| bar.finish_and_clear());
    }

    fn is_interrupted(&self) -> bool {
        self.interrupt.is_set()
    }
}
