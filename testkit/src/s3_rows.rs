//! Keys and values of every S3 row kind.
//!
//! Owns: `docs/format/s3.md` section 1. Keys are user keys in the sense of snapshot.md (the writers add the timestamp);
//! names, keys and ids are any bytes. Nothing is checked, so sizes, counts and sums may contradict each other. JSON is
//! put together from texts that need no escapes; what needs them is written out by the caller.
//!
//! Leaves: what a set of rows means to section 2 and the code under test, digests to the caller.

/// One upload of one object of one generation of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload<'a> {
    /// Name of the bucket.
    pub bucket: &'a [u8],
    /// Generation of the bucket.
    pub generation: u64,
    /// The object key.
    pub object: &'a [u8],
    /// The upload's id.
    pub id: &'a [u8],
}

/// One part of a manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Its number.
    pub number: u64,
    /// Hex MD5 of its bytes, mostly.
    pub etag: String,
    /// The sizes of its chunks in bytes; the part is as long as all of them.
    pub chunks: Vec<u64>,
    /// Version of its chunks.
    pub version: u64,
    /// Version of its chunk references.
    pub ref_version: u64,
    /// Whether its chunks are reached through references.
    pub offloaded: bool,
}

fn segment(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for &byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(0xFF);
        }
    }
    [out, vec![0, 1]].concat()
}

/// The key of a bucket's meta row.
pub fn bucket_key(bucket: &[u8]) -> Vec<u8> {
    [b"!s3|bucket|meta|", segment(bucket).as_slice()].concat()
}

/// The key of a bucket's generation counter.
pub fn generation_key(bucket: &[u8]) -> Vec<u8> {
    [b"!s3|bucket|gen|", segment(bucket).as_slice()].concat()
}

/// The value of a meta row: `bucket` is text; `more` follows, such as `,"acl":"private"`.
pub fn bucket_meta(bucket: &str, generation: u64, more: &str) -> Vec<u8> {
    format!("{{\"bucket_name\":\"{bucket}\",\"generation\":{generation},\"created_at_hlc\":0{more}}}")
        .into_bytes()
}

impl Upload<'_> {
    fn object_segments(&self) -> Vec<u8> {
        [segment(self.bucket), self.generation.to_be_bytes().to_vec(), segment(self.object)].concat()
    }

    fn under(&self, prefix: &str) -> Vec<u8> {
        [prefix.as_bytes(), &self.object_segments(), &segment(self.id)].concat()
    }

    /// The key of the object's manifest.
    pub fn head_key(&self) -> Vec<u8> {
        [b"!s3|obj|head|".as_slice(), &self.object_segments()].concat()
    }

    /// The key of the object's route.
    pub fn route_key(&self) -> Vec<u8> {
        [b"!s3route|".as_slice(), &self.object_segments()].concat()
    }

    fn chunk(&self, prefix: &str, part: u64, chunk: u64, version: u64) -> Vec<u8> {
        let version = if version == 0 { Vec::new() } else { version.to_be_bytes().to_vec() };
        [self.under(prefix), part.to_be_bytes().to_vec(), chunk.to_be_bytes().to_vec(), version].concat()
    }

    /// The key of a chunk; version 0 is the short form.
    pub fn chunk_key(&self, part: u64, chunk: u64, version: u64) -> Vec<u8> {
        self.chunk("!s3|blob|", part, chunk, version)
    }

    /// The key of a chunk reference; version 0 is the short form.
    pub fn chunk_ref_key(&self, part: u64, chunk: u64, version: u64) -> Vec<u8> {
        self.chunk("!s3|chunkref|", part, chunk, version)
    }

    /// The key of the row that says that the upload was begun.
    pub fn meta_key(&self) -> Vec<u8> {
        self.under("!s3|upload|meta|")
    }

    /// The key of a part of the upload.
    pub fn part_key(&self, part: u64) -> Vec<u8> {
        [self.under("!s3|upload|part|"), part.to_be_bytes().to_vec()].concat()
    }

    /// The key of the note by which an upload is cleared away.
    pub fn gc_key(&self) -> Vec<u8> {
        self.under("!s3|gc|upload|")
    }

    /// The value of the manifest; `id` is text. `more` follows the parts, such as `,"content_type":"text/plain"`.
    pub fn manifest(&self, etag: &str, last_modified_hlc: u64, parts: &[Part], more: &str) -> Vec<u8> {
        let id = String::from_utf8_lossy(self.id);
        let size: u64 = parts.iter().flat_map(|part| &part.chunks).sum();
        let parts: Vec<_> = parts.iter().map(Part::to_json).collect();
        let parts =
            if parts.is_empty() { String::new() } else { format!(",\"parts\":[{}]", parts.join(",")) };
        format!(
            "{{\"upload_id\":\"{id}\",\"etag\":\"{etag}\",\"size_bytes\":{size},\
             \"last_modified_hlc\":{last_modified_hlc}{parts}{more}}}"
        )
        .into_bytes()
    }
}

impl Part {
    /// The part as it stands in a manifest, and alone as the value of a part of an upload.
    pub fn to_json(&self) -> String {
        let Self { number, etag, chunks, version, ref_version, offloaded } = self;
        let size: u64 = chunks.iter().sum();
        let mut json = format!(
            "{{\"part_no\":{number},\"etag\":\"{etag}\",\"size_bytes\":{size},\"chunk_count\":{}",
            chunks.len()
        );
        if !chunks.is_empty() {
            let sizes: Vec<_> = chunks.iter().map(u64::to_string).collect();
            json += &format!(",\"chunk_sizes\":[{}]", sizes.join(","));
        }
        for (name, version) in [("part_version", version), ("chunk_ref_version", ref_version)] {
            if *version != 0 {
                json += &format!(",\"{name}\":{version}");
            }
        }
        json + if *offloaded { ",\"offloaded\":true}" } else { "}" }
    }
}

/// The key of a chunkblob; `digest` is the SHA-256 of its bytes.
pub fn chunkblob_key(digest: &[u8; 32]) -> Vec<u8> {
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("!s3|chunkblob|{digits}").into_bytes()
}

/// The value of a chunk reference: version 1 without replicas (node id, address), version 2 with them.
pub fn chunk_ref(digest: &[u8; 32], size: u64, source_peer: &[u8], replicas: &[(&[u8], &[u8])]) -> Vec<u8> {
    fn text(bytes: &[u8]) -> Vec<u8> {
        [(bytes.len() as u16).to_be_bytes().as_slice(), bytes].concat()
    }
    let version = if replicas.is_empty() { 1 } else { 2 };
    let mut value = [&[version], digest.as_slice(), &size.to_be_bytes(), &text(source_peer)].concat();
    if !replicas.is_empty() {
        value.extend((replicas.len() as u16).to_be_bytes());
        for (node, address) in replicas {
            value.extend([text(node), text(address)].concat());
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPLOAD: Upload<'_> = Upload { bucket: b"b", generation: 1, object: b"x\0y", id: b"u" };

    #[test]
    fn keys_have_exactly_the_bytes_of_the_format() {
        let object = b"b\0\x01\0\0\0\0\0\0\0\x01x\0\xffy\0\x01";
        assert_eq!(UPLOAD.head_key(), [b"!s3|obj|head|".as_slice(), object].concat());
        assert_eq!(UPLOAD.meta_key(), [b"!s3|upload|meta|".as_slice(), object, b"u\0\x01"].concat());
        let chunk =
            [b"!s3|blob|".as_slice(), object, b"u\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03"].concat();
        assert_eq!(UPLOAD.chunk_key(2, 3, 0), chunk);
        assert_eq!(UPLOAD.chunk_key(2, 3, 9), [&chunk, b"\0\0\0\0\0\0\0\x09".as_slice()].concat());
    }

    #[test]
    fn a_part_is_written_as_the_node_writes_it() {
        let mut part =
            Part { number: 1, etag: "e".to_owned(), chunks: vec![4, 3], version: 7, ..Part::default() };
        let json =
            r#"{"part_no":1,"etag":"e","size_bytes":7,"chunk_count":2,"chunk_sizes":[4,3],"part_version":7}"#;
        assert_eq!(part.to_json(), json);
        (part.chunks, part.version, part.offloaded) = (Vec::new(), 0, true);
        assert_eq!(
            part.to_json(),
            r#"{"part_no":1,"etag":"e","size_bytes":0,"chunk_count":0,"offloaded":true}"#
        );
    }

    #[test]
    fn a_reference_has_replicas_only_in_version_2() {
        assert_eq!(chunk_ref(&[7; 32], 4, b"n1", &[])[..1], [1]);
        let value = chunk_ref(&[7; 32], 4, b"n1", &[(b"n1", b"h:1")]);
        assert_eq!(value[33..], *b"\0\0\0\0\0\0\0\x04\0\x02n1\0\x01\0\x02n1\0\x03h:1");
    }
}
