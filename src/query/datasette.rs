//! The metadata file of datasette: what the database is, what its tables and views hold, which of them are for the
//! machine, and by which columns people want to count. Keys of the file: <https://docs.datasette.io/en/stable/metadata.html>.

use serde_json::{Map, Value, json};

use super::relations::relations;
use crate::report::Report;
use crate::staging::{Staging, StagingError};

/// Columns with few different values, which views are worth counting by.
const FACETS: [&str; 14] = [
    "attribute",
    "bucket",
    "class",
    "content_type",
    "family",
    "kind",
    "queue",
    "reason",
    "scope",
    "state",
    "table_name",
    "type",
    "unreachable",
    "verdict",
];

/// Most facets of a view: datasette counts each of them for every page.
const MAX_FACETS: usize = 3;

/// Tables that people look at. The others hold what views show, or what a load or an export needs to go on.
const FOR_PEOPLE: [&str; 4] = ["run", "source", "warning", "warning_sample"];

/// The file for a database that datasette serves under the name `name`, which is that of its file without the
/// extension.
///
/// # Errors
/// Whatever SQLite says.
pub fn metadata(staging: &Staging, name: &str) -> Result<Value, StagingError> {
    let report = Report::of(staging)?;
    let sources: Vec<_> = report.sources.iter().map(|source| source.path.as_str()).collect();
    let mut tables = Map::new();
    for relation in relations(staging.connection())? {
        let mut table = Map::new();
        table.insert("description".into(), relation.holds.into());
        if relation.is_view {
            let facets: Vec<_> = FACETS
                .into_iter()
                .filter(|facet| relation.columns.iter().any(|column| column == facet))
                .take(MAX_FACETS)
                .collect();
            if !facets.is_empty() {
                table.insert("facets".into(), facets.into());
            }
        } else if !FOR_PEOPLE.contains(&relation.name.as_str()) {
            table.insert("hidden".into(), true.into());
        }
        tables.insert(relation.name, table.into());
    }
    Ok(json!({
        "title": "Snapshot of an elastickv node",
        "description": format!("Loaded by ekvsnap {} from {}", report.tool_version, sources.join(", ")),
        "databases": { name: { "tables": tables } },
    }))
}
