//! Which part of the store owns a user key (`docs/format/snapshot.md` section 6).
//! Knows prefixes only; what rows of a family mean is the family's business.

/// The classes rows are counted under. Every row read belongs to exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// Rows of the Redis adapter.
    Redis,
    /// Rows of the DynamoDB adapter.
    Dynamodb,
    /// Rows of the S3 adapter.
    S3,
    /// Rows of the SQS adapter.
    Sqs,
    /// Rows of the filesystem adapter, which is not specified yet.
    Internal,
    /// Transaction locks, intents and records.
    Txn,
    /// Routing, encryption and administration state of the cluster.
    Cluster,
    /// Keys outside every namespace: Redis strings of the oldest layout.
    Bare,
    /// The bare, unversioned bookkeeping rows of section 2.
    Operational,
}

impl Class {
    /// All classes, in the order in which they are printed.
    pub const ALL: [Self; 9] = [
        Self::Redis,
        Self::Dynamodb,
        Self::S3,
        Self::Sqs,
        Self::Internal,
        Self::Txn,
        Self::Cluster,
        Self::Bare,
        Self::Operational,
    ];

    /// The name in SQL, JSON and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Dynamodb => "dynamodb",
            Self::S3 => "s3",
            Self::Sqs => "sqs",
            Self::Internal => "internal",
            Self::Txn => "txn",
            Self::Cluster => "cluster",
            Self::Bare => "bare",
            Self::Operational => "operational",
        }
    }

    /// The class of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// The class of a versioned user key.
    pub fn of(user_key: &[u8]) -> Self {
        if user_key.first() != Some(&b'!') {
            return Self::Bare;
        }
        PREFIXES
            .iter()
            .find(|(prefix, _)| user_key.starts_with(prefix))
            .map_or(Self::Bare, |&(_, class)| class)
    }
}

/// Is the key one that every node keeps for itself, outside the replicated store? The commit timestamps of such rows
/// come from no common clock, so which version of the key counts is for its owner to say (`docs/format/s3.md`
/// section 1.6).
#[inline]
pub fn is_node_local(user_key: &[u8]) -> bool {
    NODE_LOCAL.iter().any(|prefix| user_key.starts_with(prefix))
}

const NODE_LOCAL: [&[u8]; 1] = [b"!s3|chunkblob|"];

/// No prefix is the beginning of another, so the order is free: the busiest come first.
const PREFIXES: [(&[u8], Class); 16] = [
    (b"!redis|", Class::Redis),
    (b"!hs|", Class::Redis),
    (b"!lst|", Class::Redis),
    (b"!st|", Class::Redis),
    (b"!zs|", Class::Redis),
    (b"!stream|meta|", Class::Redis),
    (b"!stream|entry|", Class::Redis),
    (b"!txn|", Class::Txn),
    (b"!ddb|", Class::Dynamodb),
    (b"!s3|", Class::S3),
    (b"!s3route|", Class::S3),
    (b"!sqs|", Class::Sqs),
    (b"!fs|", Class::Internal),
    (b"!dist|", Class::Cluster),
    (b"!encryption|", Class::Cluster),
    (b"!admin|", Class::Cluster),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_full_stream_prefixes_are_reserved() {
        assert_eq!(Class::of(b"!stream|foo"), Class::Bare);
        assert_eq!(Class::of(b"!stream|meta|"), Class::Redis);
        assert_eq!(Class::of(b"!stream|entry|x"), Class::Redis);
        assert_eq!(Class::of(b"!redis"), Class::Bare);
        assert_eq!(Class::of(b""), Class::Bare);
    }

    #[test]
    fn no_prefix_begins_with_another() {
        for (i, (a, _)) in PREFIXES.iter().enumerate() {
            for (b, _) in &PREFIXES[i + 1..] {
                assert!(!a.starts_with(b) && !b.starts_with(a));
            }
        }
    }

    #[test]
    fn only_chunkblobs_are_node_local() {
        assert!(is_node_local(b"!s3|chunkblob|"));
        assert!(!is_node_local(b"!s3|chunkref|"));
        assert!(!is_node_local(b"!s3|chunkblob"));
    }

    #[test]
    fn every_class_stands_at_its_own_place_in_the_list() {
        for (i, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, i);
        }
    }
}
