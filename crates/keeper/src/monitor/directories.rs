//! How much is in the folders of the data, as `dirs` and `conf` tell.

use std::path::Path;

use ottla_runtime::Disk;
use ottla_runtime::disk::OpenMode;

use crate::server::Server;

/// How deep folders are looked into: ours are not deeper.
const DEPTH_MAX: usize = 8;

/// The bytes of all files in `dataDir` and in `dataLogDir`. Blocks.
pub(crate) fn sizes(server: &Server) -> (u64, u64) {
    let storage = &server.config.storage;
    let disk = &*server.runtime.disk;
    let data = size(disk, Path::new(&storage.data_dir), DEPTH_MAX);
    match storage.data_log_dir == storage.data_dir {
        true => (data, data),
        false => (
            data,
            size(disk, Path::new(&storage.data_log_dir), DEPTH_MAX),
        ),
    }
}

/// What cannot be read, as it was removed in the meantime, counts nothing.
fn size(disk: &dyn Disk, folder: &Path, depth: usize) -> u64 {
    let Some(depth) = depth.checked_sub(1) else {
        return 0;
    };
    let entries = disk.list(folder).unwrap_or_default();
    let each = entries.into_iter().map(|entry| {
        let path = folder.join(&entry.name);
        if entry.is_dir {
            return size(disk, &path, depth);
        }
        let file = disk.open(&path, OpenMode::Read);
        file.and_then(|file| file.len()).unwrap_or(0)
    });
    each.sum()
}

#[cfg(test)]
mod tests {
    use ottla_runtime::disk::RealDisk;

    use super::*;

    #[test]
    fn all_files_below_a_folder_count() {
        let dir = tempfile::tempdir().unwrap();
        let disk: &dyn Disk = &RealDisk;
        disk.create_dir_all(&dir.path().join("a/b")).unwrap();
        for (name, bytes) in [("one", 10), ("a/two", 200), ("a/b/three", 3_000)] {
            disk.write_atomically(&dir.path().join(name), &vec![0; bytes])
                .unwrap();
        }
        assert_eq!(size(disk, dir.path(), DEPTH_MAX), 3_210);
        assert_eq!(size(disk, dir.path(), 1), 10);
        assert_eq!(size(disk, &dir.path().join("nowhere"), DEPTH_MAX), 0);
    }
}
