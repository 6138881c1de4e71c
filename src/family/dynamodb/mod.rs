//! The DynamoDB family: tables and their items, in every layout that nodes have written
//! (`docs/format/dynamodb.md`).
//!
//! `rows` takes row keys apart, `key` and `number` the primary keys in them; `schema` and `item` decode values, `walk`
//! and `parts` those of items too long for memory, `value` says which is which. `stage` puts rows into tables,
//! `reconcile` finds the items that a client sees, `name` gives them their places, `export` writes the files, `places` finds
//! an item by what people call it. The rules that rows can break stand in `malformed`.

mod export;
pub mod item;
pub mod key;
mod malformed;
mod name;
pub mod number;
mod parts;
mod places;
mod reconcile;
pub mod rows;
mod schema;
mod stage;
mod value;
mod walk;

use rusqlite::Connection;

pub use self::malformed::Malformed;
use super::{Export, ExportError, Exported, Family, KeyPlace, Reconcile, Stage};
use crate::error::Error;
use crate::snapshot::Class;
use crate::staging::{Staging, StagingError};

/// The DynamoDB family.
pub struct DynamoDb;

impl Family for DynamoDb {
    fn name(&self) -> &'static str {
        "dynamodb"
    }

    fn classes(&self) -> &'static [Class] {
        &[Class::Dynamodb]
    }

    fn stage<'c>(&self, staging: &'c Staging, source: i64) -> Result<Box<dyn Stage + 'c>, StagingError> {
        Ok(Box::new(stage::DynamoDbStage::new(staging, source)?))
    }

    fn reconcile(&self, run: &mut Reconcile<'_, '_>) -> Result<(), Error> {
        reconcile::reconcile(run)
    }

    fn keys(&self, connection: &Connection) -> Result<Vec<(String, u64)>, StagingError> {
        let items: i64 = connection.query_row("SELECT count(*) FROM dynamodb_item", [], |row| row.get(0))?;
        Ok(if items > 0 { vec![("item".to_owned(), items.cast_unsigned())] } else { Vec::new() })
    }

    fn places(&self, connection: &Connection, name: &[u8]) -> Result<Vec<KeyPlace>, StagingError> {
        places::places(connection, name)
    }

    fn export(&self, run: &mut Export<'_, '_>) -> Result<Exported, ExportError> {
        export::export(run)
    }
}
