//! What becomes of a malformed row: the end of the run, or a place in the quarantine (`docs/format/redis.md` section 4,
//! for every family). Who finds it, while rows are staged or when they are looked at as a whole, makes no difference.

use super::OnError;
use crate::error::Error;
use crate::family::Rule;
use crate::snapshot::Readable;
use crate::staging::{Kind, MalformedRow, Staging, Warnings, quarantine};

/// The policy of one load.
#[derive(Clone, Copy)]
pub(super) struct Policy<'a> {
    pub staging: &'a Staging,
    pub on_error: OnError,
}

impl Policy<'_> {
    /// Takes a row that breaks `rule` out of the way.
    ///
    /// # Errors
    /// The rule, if the run is to stop; whatever SQLite says.
    pub fn take(&self, row: &MalformedRow<'_>, rule: Rule, warnings: &mut Warnings) -> Result<(), Error> {
        let connection = self.staging.connection();
        let key = Readable(row.user_key);
        match self.on_error {
            OnError::Stop => {
                let path = "SELECT path FROM source WHERE id = ?";
                let name = connection.query_row(path, [row.source], |found| found.get(0))?;
                Err(Error::MalformedRow { name, offset: row.offset, key: key.to_string(), rule })
            }
            OnError::Quarantine => {
                quarantine(connection, row, &rule)?;
                warnings.add(Kind::QuarantinedRow, format!("{key} at byte {}: {rule}", row.offset));
                Ok(())
            }
        }
    }
}
