//! Signals: the first asks the run to stop at a good place, the second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::exit::Status;

/// Set once somebody has asked the run to stop.
#[derive(Clone)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens for SIGINT, SIGTERM and SIGHUP from now on.
    pub fn listen() -> anyhow::Result<Self> {
        Self::listen_to(&[SIGINT, SIGTERM, SIGHUP])
    }

    /// Listens for SIGINT only: the others end a session that waits for its user.
    pub fn listen_at_prompt() -> anyhow::Result<Self> {
        Self::listen_to(&[SIGINT])
    }

    fn listen_to(signals: &[i32]) -> anyhow::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for &signal in signals {
            signal_hook::flag::register_conditional_shutdown(
                signal,
                Status::Interrupted as i32,
                Arc::clone(&flag),
            )?;
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Self(flag))
    }

    /// Has a signal come?
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// What was asked to stop has stopped; the next signal is another one's.
    pub fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
