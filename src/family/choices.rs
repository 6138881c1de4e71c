//! What an export is asked for beyond adapters and scopes: one place for the options that families have of their own.

use crate::staging::Kind;

/// The options of an export; each family knows its own. The default is a dump of everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// Leave out what had expired when the snapshot was taken: Redis keys, and SQS messages past their retention.
    pub drop_expired: bool,
    /// DynamoDB: how items are spread over files.
    pub dynamodb_layout: DynamoDbLayout,
    /// S3: write objects whose key cannot be a path here under another name, instead of leaving them out.
    pub rename_s3_collisions: bool,
    /// S3: write down uploads that were begun and not finished.
    pub include_incomplete_uploads: bool,
    /// S3: write chunks that belong to no object.
    pub include_orphans: bool,
    /// SQS: keep when messages become visible, how often they were received, and their receipt tokens.
    pub preserve_sqs_visibility: bool,
    /// SQS: write the rows that only help to find messages, too.
    pub include_sqs_side_records: bool,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            drop_expired: false,
            dynamodb_layout: DynamoDbLayout::default(),
            rename_s3_collisions: true,
            include_incomplete_uploads: false,
            include_orphans: false,
            preserve_sqs_visibility: false,
            include_sqs_side_records: false,
        }
    }
}

impl Choices {
    /// Does a warning of this kind, which a load has noted, say something of a dump made so?
    pub fn are_concerned_by(&self, kind: Kind) -> bool {
        match kind {
            Kind::DdbKeyTypeMismatch | Kind::DdbManyItemFiles => {
                self.dynamodb_layout == DynamoDbLayout::PerItem
            }
            _ => true,
        }
    }
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
