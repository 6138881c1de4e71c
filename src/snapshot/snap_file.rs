//! The `.snap` file of a Raft member: which snapshot its log begins after, and who voted then
//! (`docs/format/restore.md` section 2.1). Protobuf in protobuf, guarded by a checksum. Whether a snapshot file is the
//! one it means is for others to ask.

use prost::Message as _;

use super::limits::MAX_SNAP_FILE_BYTES;
use super::token::{Token, TokenError};

/// A `.snap` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapFile {
    /// The snapshot file that holds the state.
    pub token: Token,
    /// Raft index applied last.
    pub index: u64,
    /// Raft term of that entry.
    pub term: u64,
    /// Node ids of the members that vote.
    pub voters: Vec<u64>,
    /// Node ids of the members that only listen.
    pub learners: Vec<u64>,
    /// Checksum of its content (CRC-32C), verified.
    pub crc32c: u32,
}

/// Why bytes are no `.snap` file.
#[derive(Debug, thiserror::Error)]
pub enum SnapFileError {
    /// More bytes than any has.
    #[error("a .snap file has at most {MAX_SNAP_FILE_BYTES} bytes, not {0}")]
    TooLong(u64),
    /// They are no protobuf, or one of another kind.
    #[error("it is not the protobuf message of a .snap file")]
    NotProtobuf(#[source] prost::DecodeError),
    /// Its checksum disagrees.
    #[error("its content has the CRC-32C {computed:08x}, it says {stored:08x}")]
    Checksum {
        /// Over the bytes read.
        computed: u32,
        /// As stored.
        stored: u32,
    },
    /// It holds something else where the token stands.
    #[error("it refers to no snapshot file")]
    NoToken(#[source] TokenError),
    /// It does not say which index and term it stands for.
    #[error("it has no metadata")]
    NoMetadata,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Envelope {
    #[prost(uint32, tag = "1")]
    crc: u32,
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Snapshot {
    #[prost(bytes = "vec", tag = "1")]
    token: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metadata {
    #[prost(message, optional, tag = "1")]
    members: Option<Members>,
    #[prost(uint64, tag = "2")]
    index: u64,
    #[prost(uint64, tag = "3")]
    term: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Members {
    #[prost(uint64, repeated, packed = "false", tag = "1")]
    voters: Vec<u64>,
    #[prost(uint64, repeated, packed = "false", tag = "2")]
    learners: Vec<u64>,
}

impl SnapFile {
    /// Reads the bytes of a whole file.
    ///
    /// # Errors
    /// They are none; the checksum is looked at before anything that it guards.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapFileError> {
        if bytes.len() as u64 > MAX_SNAP_FILE_BYTES {
            return Err(SnapFileError::TooLong(bytes.len() as u64));
        }
        let Envelope { crc: stored, data } = Envelope::decode(bytes).map_err(SnapFileError::NotProtobuf)?;
        let computed = crc32c::crc32c(&data);
        if computed != stored {
            return Err(SnapFileError::Checksum { computed, stored });
        }
        let snapshot = Snapshot::decode(&*data).map_err(SnapFileError::NotProtobuf)?;
        let token = Token::decode(&snapshot.token).map_err(SnapFileError::NoToken)?;
        let Metadata { members, index, term } = snapshot.metadata.ok_or(SnapFileError::NoMetadata)?;
        let Members { voters, learners } = members.unwrap_or_default();
        Ok(Self { token, index, term, voters, learners, crc32c: stored })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `docs/format/restore.md` section 2.5.
    const VECTORS: [(&str, u64, u64, u32, u32); 2] = [
        (
            "08efeb95cd0812260a11454b56540100000000000011c709ba513212110a0a08c0a9e3aafbe0ded90810c7231807",
            4551,
            7,
            0x09ba_5132,
            0x89a5_75ef,
        ),
        (
            "08acdd9a980612250a11454b565401000000000000000153d3556a12100a0a08c0a9e3aafbe0ded90810011801",
            1,
            1,
            0x53d3_556a,
            0x6306_aeac,
        ),
    ];

    fn unhex(hex: &str) -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn file(token: Vec<u8>, metadata: Option<Metadata>) -> Vec<u8> {
        let data = Snapshot { token, metadata }.encode_to_vec();
        Envelope { crc: crc32c::crc32c(&data), data }.encode_to_vec()
    }

    #[test]
    fn the_files_of_the_specification_are_read() {
        for (hex, index, term, footer, crc32c) in VECTORS {
            let read = SnapFile::decode(&unhex(hex)).unwrap();
            let token = Token { index, crc32c: footer };
            let voters = vec![0x08b3_7b07_b558_d4c0];
            assert_eq!(read, SnapFile { token, index, term, voters, learners: Vec::new(), crc32c });
        }
    }

    #[test]
    fn what_is_no_snap_file_is_refused_for_what_it_is() {
        use SnapFileError::*;
        let token = Token { index: 9, crc32c: 3 }.encode().to_vec();
        assert!(matches!(SnapFile::decode(b"\xff"), Err(NotProtobuf(_))));
        assert!(matches!(SnapFile::decode(b""), Err(NoToken(TokenError::Length(0)))));
        assert!(matches!(SnapFile::decode(&file(b"state".to_vec(), None)), Err(NoToken(_))));
        assert!(matches!(SnapFile::decode(&file(token, None)), Err(NoMetadata)));
        let long = vec![0; MAX_SNAP_FILE_BYTES as usize + 1];
        assert!(matches!(SnapFile::decode(&long), Err(TooLong(_))));
    }

    #[test]
    fn a_changed_bit_is_found_wherever_it_is() {
        for (hex, ..) in VECTORS {
            let whole = unhex(hex);
            let read = SnapFile::decode(&whole).unwrap();
            for bit in 0..whole.len() * 8 {
                let mut changed = whole.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                // A bit of a varint beyond the 32 that count says nothing.
                assert!(SnapFile::decode(&changed).ok().is_none_or(|same| same == read), "bit {bit}");
            }
        }
    }

    proptest! {
        #[test]
        fn members_and_numbers_are_those_that_were_written(
            index: u64, term: u64, crc32c: u32,
            voters in prop::collection::vec(any::<u64>(), 0..9),
            learners in prop::collection::vec(any::<u64>(), 0..9),
        ) {
            let token = Token { index, crc32c };
            let members = Members { voters: voters.clone(), learners: learners.clone() };
            let bytes = file(token.encode().to_vec(), Some(Metadata { members: Some(members), index, term }));
            let read = SnapFile::decode(&bytes).unwrap();
            prop_assert_eq!((read.token, read.index, read.term), (token, index, term));
            prop_assert_eq!((read.voters, read.learners), (voters, learners));
        }

        #[test]
        fn no_bytes_are_too_odd_to_be_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = SnapFile::decode(&bytes);
            let _ = SnapFile::decode(&file(bytes, None));
        }
    }
}
