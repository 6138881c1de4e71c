//! What a bucket is: the value of its meta row (`docs/format/s3.md` section 1.2). Pure.

use serde::de::MapAccess;

use super::json_fields::{Fields, Text, set};

/// A bucket, but for its name: the one in the row key counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketMeta {
    /// The only generation whose objects are there.
    pub generation: u64,
    /// When it was made (HLC), 0 if unknown.
    pub created_at_hlc: u64,
    /// Access key id of the owner; mostly empty.
    pub owner: Text,
    /// Region; may be empty.
    pub region: Text,
    /// `private`, `public-read` or empty.
    pub acl: Text,
}

impl Fields for BucketMeta {
    const NAMES: &'static [&'static str] =
        &["generation", "created_at_hlc", "owner", "region", "acl", "bucket_name"];

    fn take<'de, A: MapAccess<'de>>(&mut self, field: usize, map: &mut A) -> Result<(), A::Error> {
        match field {
            0 => set(&mut self.generation, map),
            1 => set(&mut self.created_at_hlc, map),
            2 => set(&mut self.owner, map),
            3 => set(&mut self.region, map),
            4 => set(&mut self.acl, map),
            // Not used, but of the wrong type it makes the value unreadable.
            _ => set(&mut Text::default(), map),
        }
    }
}
