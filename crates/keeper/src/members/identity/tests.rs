use ottla_runtime::disk::OpenMode;
use proptest::prelude::*;

use super::*;

#[tokio::test]
async fn a_volume_keeps_its_identity_and_refuses_other_owners() {
    let runtime = Runtime::real();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let first = Identity::open(&runtime, dir, 2).unwrap();
    assert_eq!((first.id, first.ensemble_id), (2, None));
    let mut again = Identity::open(&runtime, dir, 2).unwrap();
    assert_eq!(again, first, "the directory's id must not change");

    let ensemble = random_uuid(&runtime);
    again.adopt(&runtime, dir, ensemble).unwrap();
    again.adopt(&runtime, dir, ensemble).unwrap();
    let stored = Identity::open(&runtime, dir, 2).unwrap();
    assert_eq!(stored.ensemble_id, Some(ensemble));
    assert_eq!(stored.directory_id, first.directory_id);

    let other = random_uuid(&runtime);
    let error = again.adopt(&runtime, dir, other).unwrap_err().to_string();
    let words = [ensemble.to_string(), other.to_string(), FILE.to_owned()];
    assert!(words.iter().all(|word| error.contains(word)), "{error}");

    let error = Identity::open(&runtime, dir, 3).unwrap_err().to_string();
    let words = [
        "server 2",
        "server 3",
        "version-2/ensemble.properties",
        "myid",
    ];
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
}

#[tokio::test]
async fn a_damaged_file_stops_the_start_and_is_named() {
    let runtime = Runtime::real();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let good = Identity::open(&runtime, dir, 1).unwrap();
    let directory_id = good.directory_id;
    let texts = [
        ("", "version is missing"),
        ("version=2\nserver.id=1\n", "version 2"),
        ("version=1\nserver.id=one\n", "'one'"),
        ("version=1\nserver.id=-1\n", "'-1'"),
        ("version=1\nserver.id=1\n", "directory.id is missing"),
        ("version=1\nserver.id=1\ndirectory.id=short\n", "short"),
        ("version 1\n", "no '='"),
    ];
    for (text, word) in texts {
        let disk = &*runtime.disk;
        disk.write_atomically(&path(dir), text.as_bytes()).unwrap();
        let error = Identity::open(&runtime, dir, 1).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains(FILE), "{error}");
    }
    // What people add by hand is taken.
    let text = format!("# mine\n\nversion = 1\nserver.id = 1\ndirectory.id={directory_id}\n");
    let file = runtime.disk.open(&path(dir), OpenMode::Truncate).unwrap();
    file.write_at(&[std::io::IoSlice::new(text.as_bytes())], 0)
        .unwrap();
    assert_eq!(Identity::open(&runtime, dir, 1).unwrap(), good);
}

proptest! {
    #[test]
    fn random_bytes_are_no_identity_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(parse(&bytes).is_err());
    }
}
