//! What an export is asked for beyond adapters and scopes: one place for the options that families have of their own.

/// The options of an export; each family knows its own. The default is a dump of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// Leave out what had expired when the snapshot was taken: Redis keys, and SQS messages past their retention.
    pub drop_expired: bool,
    /// DynamoDB: how items are spread over files.
    pub dynamodb_layout: DynamoDbLayout,
    /// SQS: keep when messages become visible, how often they were received, and their receipt tokens.
    pub preserve_sqs_visibility: bool,
    /// SQS: write the rows that only help to find messages, too.
    pub include_sqs_side_records: bool,
}

/// How DynamoDB items are spread over files (`docs/format/dynamodb.md` sections 3.1 and 3.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DynamoDbLayout {
    /// One file per item.
    #[default]
    PerItem,
    /// Many items to a file, one per line.
    Jsonl {
        /// A file is at most so many bytes long, unless one item alone is longer.
        part_bytes: u64,
    },
}

impl DynamoDbLayout {
    /// The name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::PerItem => "per-item",
            Self::Jsonl { .. } => "jsonl",
        }
    }
}
