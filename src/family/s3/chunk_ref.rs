//! The value of a chunk reference: where the bytes of an offloaded chunk lie (`docs/format/s3.md` section 1.5). Pure
//! functions over byte slices.

/// Longest reference that is read, in bytes: some thousand replicas, where a write has as many as the cluster has nodes.
pub const MAX_CHUNK_REF_BYTES: u64 = 1 << 20;

/// A reference to a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRef<'a> {
    /// SHA-256 of the chunk.
    pub digest: [u8; 32],
    /// Its size in bytes.
    pub size: u64,
    /// Id of the node that took the write.
    pub source_peer: &'a [u8],
    /// The nodes that had a copy when it was written.
    pub replicas: Replicas<'a>,
}

/// Node ids and addresses of replicas, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replicas<'a> {
    left: u16,
    rest: &'a [u8],
}

impl<'a> Iterator for Replicas<'a> {
    /// Node id and address.
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (node, rest) = text(self.rest)?;
        let (address, rest) = text(rest)?;
        self.rest = rest;
        Some((node, address))
    }
}

/// Why a value is no chunk reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Its first byte.
    #[error("a chunk reference of version {0}; 1 and 2 are known")]
    Version(u8),
    /// It ends too early, or says that there are more replicas than it has room for.
    #[error("the chunk reference ends before its last field")]
    Truncated,
    /// Bytes after the last field.
    #[error("{0} bytes follow the last field of the chunk reference")]
    Trailing(usize),
    /// Longer than [`MAX_CHUNK_REF_BYTES`].
    #[error("the chunk reference has {0} bytes; at most {MAX_CHUNK_REF_BYTES} are read")]
    TooLong(u64),
}

/// Takes a reference apart.
///
/// # Errors
/// The rule that it breaks.
pub fn decode(value: &[u8]) -> Result<ChunkRef<'_>, Invalid> {
    let (&version, rest) = value.split_first().ok_or(Invalid::Truncated)?;
    if !matches!(version, 1 | 2) {
        return Err(Invalid::Version(version));
    }
    let (&digest, rest) = rest.split_first_chunk().ok_or(Invalid::Truncated)?;
    let (&size, rest) = rest.split_first_chunk().ok_or(Invalid::Truncated)?;
    let (source_peer, mut rest) = text(rest).ok_or(Invalid::Truncated)?;
    let mut replicas = Replicas { left: 0, rest };
    if version == 2 {
        let (&count, after) = rest.split_first_chunk().ok_or(Invalid::Truncated)?;
        replicas = Replicas { left: u16::from_be_bytes(count), rest: after };
        let mut walk = replicas;
        for _ in 0..walk.left {
            walk.next().ok_or(Invalid::Truncated)?;
        }
        rest = walk.rest;
    }
    if !rest.is_empty() {
        return Err(Invalid::Trailing(rest.len()));
    }
    Ok(ChunkRef { digest, size: u64::from_be_bytes(size), source_peer, replicas })
}

/// A 16-bit length and so many bytes.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(length)))
}

#[cfg(test)]
mod tests;
