//! One suite for both disks, and what only the simulated one can show.

use super::*;

fn conformance(disk: &dyn Disk, root: &Path) {
    let dir = root.join("a/b");
    disk.create_dir_all(&dir).unwrap();
    let path = dir.join("f");
    assert_eq!(
        disk.open(&path, OpenMode::Read).err().unwrap().kind(),
        io::ErrorKind::NotFound
    );
    let file = disk.open(&path, OpenMode::CreateNew).unwrap();
    assert!(disk.open(&path, OpenMode::CreateNew).is_err());
    let parts: Vec<&[u8]> = vec![b"", b"hello ", b"", b"world"];
    let slices: Vec<IoSlice<'_>> = parts.iter().map(|p| IoSlice::new(p)).collect();
    file.write_at(&slices, 2).unwrap();
    file.write_at(&[], 2).unwrap();
    file.write_at(&[IoSlice::new(b"")], 2).unwrap();
    file.sync_data().unwrap();
    assert_eq!(disk.read(&path).unwrap(), b"\0\0hello world");
    let mut buf = [0; 8];
    assert_eq!(file.read_at(&mut buf, 8).unwrap(), 5);
    assert_eq!(&buf[..5], b"world");
    assert_eq!(file.read_at(&mut buf, 100).unwrap(), 0);
    file.set_len(3).unwrap();
    assert_eq!(file.len().unwrap(), 3);
    disk.write_atomically(&path, b"new").unwrap();
    assert_eq!(disk.read(&path).unwrap(), b"new");
    disk.rename(&path, &dir.join("g")).unwrap();
    assert!(!disk.exists(&path));
    disk.rename(&dir, &root.join("a/c")).unwrap();
    assert_eq!(disk.read(&root.join("a/c/g")).unwrap(), b"new");
    let names = disk.list(&root.join("a")).unwrap();
    assert_eq!(
        names,
        [Entry {
            name: "c".into(),
            is_dir: true
        }]
    );
    let held = disk.lock(&root.join("lock")).unwrap();
    assert_eq!(
        disk.lock(&root.join("lock")).err().unwrap().kind(),
        io::ErrorKind::WouldBlock
    );
    drop(held);
    disk.lock(&root.join("lock")).unwrap();
    disk.remove_dir_all(&root.join("a")).unwrap();
    assert!(!disk.exists(&root.join("a/c/g")));
    assert!(disk.free_bytes(root).unwrap() > 0);
    assert!(disk.total_bytes(root).unwrap() >= disk.free_bytes(root).unwrap());
}

#[test]
fn the_real_disk_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    conformance(&RealDisk, dir.path());
}

#[test]
fn many_parts_are_written_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let file = RealDisk.open(&path, OpenMode::Create).unwrap();
    let bytes: Vec<[u8; 2]> = (0..5000u16).map(u16::to_be_bytes).collect();
    let parts: Vec<IoSlice<'_>> = bytes.iter().map(|b| IoSlice::new(b)).collect();
    file.write_at(&parts, 0).unwrap();
    let disk: &dyn Disk = &RealDisk;
    assert_eq!(disk.read(&path).unwrap(), bytes.concat());
}

#[cfg(feature = "sim")]
mod simulated {
    use super::*;

    #[test]
    fn the_simulated_disk_keeps_the_contract() {
        let disk = SimDisk::new(1);
        disk.create_dir_all(Path::new("/data")).unwrap();
        conformance(&disk, Path::new("/data"));
    }

    #[test]
    fn a_crash_keeps_what_was_flushed_and_may_take_the_rest() {
        let (mut lost_bytes, mut lost_names) = (0, 0);
        for seed in 0..50 {
            let disk = SimDisk::new(seed);
            let dir = Path::new("/d");
            disk.create_dir_all(dir).unwrap();
            let file = disk.open(&dir.join("f"), OpenMode::Create).unwrap();
            disk.sync_dir(dir).unwrap();
            file.write_at(&[IoSlice::new(b"safe")], 0).unwrap();
            file.sync_data().unwrap();
            file.write_at(&[IoSlice::new(b"lost")], 4).unwrap();
            disk.open(&dir.join("unsynced name"), OpenMode::Create)
                .unwrap();
            disk.crash();
            assert!(
                file.read_at(&mut [0], 0).is_err(),
                "a handle of the earlier life"
            );
            let disk: &dyn Disk = &disk;
            let bytes = disk.read(&dir.join("f")).unwrap();
            assert!(bytes.starts_with(b"safe"));
            lost_bytes += u32::from(bytes.len() < 8);
            lost_names += u32::from(!disk.exists(&dir.join("unsynced name")));
        }
        assert!(lost_bytes > 10 && lost_bytes < 50 && lost_names > 10 && lost_names < 50);
    }

    #[test]
    fn a_full_disk_refuses_growth_and_takes_it_again_later() {
        let disk = SimDisk::new(1);
        disk.set_capacity_bytes(10);
        let file = disk.open(Path::new("f"), OpenMode::Create).unwrap();
        file.write_at(&[IoSlice::new(&[1; 10])], 0).unwrap();
        let error = file.write_at(&[IoSlice::new(&[1])], 10).unwrap_err();
        assert!(is_full(&error));
        disk.set_capacity_bytes(11);
        file.write_at(&[IoSlice::new(&[1])], 10).unwrap();
        let other = disk.open(Path::new("g"), OpenMode::Create).unwrap();
        assert!(is_full(
            &other.write_at(&[IoSlice::new(&[1])], 0).unwrap_err()
        ));
        disk.remove_file(Path::new("f")).unwrap();
        other.write_at(&[IoSlice::new(&[1; 11])], 0).unwrap();
    }
}
