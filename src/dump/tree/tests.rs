use sha2::{Digest, Sha256};

use super::*;

#[test]
fn a_tree_may_have_more_directories_than_a_process_can_hold_open() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let root = tempfile::tempdir().unwrap();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(512), ..limit }).unwrap();
    let mut tree = Tree::new(root.path(), 3).unwrap();
    let parent = tree.directory("a/b").unwrap();
    let mut written = 0;
    for number in 0..3000 {
        tree.begin(&parent.child(&number.to_string()), b"file");
        tree.content().extend_from_slice(b"content");
        tree.end().unwrap();
    }
    tree.settle().unwrap();
    tree.drain_sums(|_| written += 1);
    setrlimit(Resource::Nofile, limit).unwrap();
    assert_eq!(written, 3000);
    assert_eq!(std::fs::read(root.path().join("a/b/2999/file")).unwrap(), b"content");
}

#[test]
fn nobody_but_the_owner_can_read_a_file() {
    use std::os::unix::fs::MetadataExt;

    let root = tempfile::tempdir().unwrap();
    let mut tree = Tree::new(root.path(), 1).unwrap();
    let directory = tree.directory("folder").unwrap();
    tree.begin(&directory, b"file");
    tree.end().and_then(|()| tree.settle()).unwrap();
    let mode = |path| std::fs::metadata(root.path().join(path)).unwrap().mode() & 0o077;
    assert_eq!(mode("folder/file"), 0);
}

#[test]
fn a_path_of_names_is_made_on_the_way_and_leads_nowhere_else() {
    let root = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), root.path().join("link")).unwrap();
    let write = |name: &[u8]| {
        let mut tree = Tree::new(root.path(), 2).unwrap();
        let directory = tree.directory("").unwrap();
        tree.begin(&directory, name);
        tree.content().extend_from_slice(b"content");
        let ended = tree.end().and_then(|()| tree.settle());
        let mut paths = Vec::new();
        tree.drain_sums(|sum| paths.push(sum.path.to_vec()));
        ended.map(|()| paths)
    };
    assert_eq!(write(b"a/b/c").unwrap(), [b"a/b/c"]);
    assert_eq!(write(b"a/b/d/\xff").unwrap(), [b"a/b/d/\xff"]);
    assert_eq!(std::fs::read(root.path().join("a/b/c")).unwrap(), b"content");
    for name in
        [&b"../x"[..], b"a/../x", b"a//x", b"/x", b"./x", b"link/x", b"a/b/c/x", b"a/b", b"a/b/", b"a/.."]
    {
        assert!(write(name).is_err(), "{}", name.escape_ascii());
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn extents_and_content_of_one_file_follow_each_other() {
    let root = tempfile::tempdir().unwrap();
    let source = root.path().join("source");
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| ((i * 7) >> 3) as u8).collect();
    std::fs::write(&source, &bytes).unwrap();
    let source = Arc::new(File::open(source).unwrap());
    let mut tree = Tree::new(root.path(), 2).unwrap();
    let directory = tree.directory("").unwrap();
    tree.begin(&directory, b"file");
    tree.copy(&source, 5, 1_000_000).unwrap();
    tree.content().extend_from_slice(b"between");
    tree.copy(&source, 2_000_000, 900_000).unwrap();
    tree.copy(&source, 0, 3).unwrap();
    tree.end().unwrap();
    tree.settle().unwrap();
    let expected = [&bytes[5..1_000_005], b"between", &bytes[2_000_000..2_900_000], &bytes[..3]].concat();
    assert!(std::fs::read(root.path().join("file")).unwrap() == expected);
    tree.drain_sums(|sum| assert_eq!(sum.sha256, <[u8; 32]>::from(Sha256::digest(&expected))));
}

#[test]
fn a_writer_that_dies_is_an_error_whoever_else_lives() {
    let root = tempfile::tempdir().unwrap();
    for threads in [1, 2, 5] {
        let mut tree = Tree::new(root.path(), threads).unwrap();
        let directory = tree.directory("").unwrap();
        tree.begin(&directory, format!("f{threads}").as_bytes());
        tree.chunk.steps.push(Step::Append(usize::MAX - 1..usize::MAX));
        let ended = tree.end().and_then(|()| tree.settle());
        assert!(ended.unwrap_err().source.to_string().contains("died"));
        // Nor does anything that is sent to it afterwards get lost in silence.
        for file in 0..20 * threads {
            tree.begin(&directory, format!("g{threads}-{file}").as_bytes());
            tree.content().extend_from_slice(&vec![0; CHUNK_BYTES]);
            if tree.end().is_err() {
                break;
            }
            assert!(file + 1 < 20 * threads, "every chunk found a writer");
        }
    }
}
