//! Which partition a FIFO group belongs to (`docs/format/sqs.md` section 2.5).

/// FNV-1a, 32 bits, of a group id; its low bits are the group's partition.
pub fn group_hash(group_id: &[u8]) -> u32 {
    group_id.iter().fold(2_166_136_261, |hash: u32, &byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}

#[cfg(test)]
mod tests {
    use super::group_hash;

    #[test]
    fn groups_go_to_the_partitions_of_the_ninth_vector() {
        assert_eq!(group_hash(b"a"), 0xe40c_292c);
        assert_eq!(group_hash(b"customer-42"), 0xfe68_adbe);
        for (count, partitions) in [(2, [1, 0, 0]), (4, [1, 0, 2]), (8, [5, 4, 6]), (32, [21, 28, 30])] {
            let groups = [&b"g1"[..], b"g2", b"customer-42"];
            assert_eq!(groups.map(|group| group_hash(group) & (count - 1)), partitions);
        }
    }
}
