//! Real files, on a core of their own.

use super::*;
use crate::runtime;
use std::sync::atomic::{AtomicU64, Ordering};

/// An empty directory that is removed at the end.
struct Room(PathBuf);

impl Room {
    fn new(within: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name =
            format!("pinion-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(within).join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn on_a_core(body: impl AsyncFnOnce() + Send + 'static) {
    runtime::start(0, || async move { body().await }).unwrap().join().unwrap();
}

async fn write_and_read(room: PathBuf) -> bool {
    let (path, target) = (room.join("temp"), room.join("whole"));
    let file = Direct.create(&path).await.unwrap();
    assert!(Direct.create(&path).await.is_err());
    let again = Direct.open(&path, true).await.unwrap();
    let blocks: Vec<u8> = (0..64 * 4096_usize).map(|at| (at / 4096 + at) as u8).collect();
    for (index, block) in blocks.chunks(16 * 4096).enumerate().rev() {
        let file = if index % 2 == 0 { &file } else { &again };
        file.write(index as u64 * 16 * 4096, block).await.unwrap();
    }
    file.sync().await.unwrap();
    file.cut(blocks.len() as u64 - 100).await.unwrap();
    file.sync().await.unwrap();
    assert_eq!(file.bytes().await.unwrap(), blocks.len() as u64 - 100);
    let is_direct = file.is_direct();
    file.close().await.unwrap();
    again.close().await.unwrap();
    Direct.rename(&path, &target).await.unwrap();
    Direct.sync_directory(&room).await.unwrap();
    assert_eq!(Direct.list(&room).await.unwrap(), ["whole"]);
    let file = Direct.open(&target, false).await.unwrap();
    assert_eq!(&*file.read(0, 64 * 4096).await.unwrap(), &blocks[..64 * 4096 - 100]);
    assert_eq!(&*file.read(63 * 4096, 4096).await.unwrap(), &blocks[63 * 4096..64 * 4096 - 100]);
    assert!(file.read(64 * 4096, 4096).await.unwrap().is_empty());
    file.close().await.unwrap();
    Direct.remove(&target).await.unwrap();
    assert_eq!(Direct.list(&room).await.unwrap(), [""; 0]);
    is_direct
}

#[test]
fn blocks_come_back() {
    let room = Room::new(std::env::temp_dir().to_str().unwrap());
    let path = room.0.clone();
    on_a_core(async move || {
        write_and_read(path).await;
    });
}

#[test]
fn a_file_system_in_memory_has_files_too() {
    if !Path::new("/dev/shm").is_dir() {
        return;
    }
    let room = Room::new("/dev/shm");
    let path = room.0.clone();
    on_a_core(async move || assert!(!write_and_read(path).await));
}

#[test]
fn errors_say_what_and_where() {
    let room = Room::new(std::env::temp_dir().to_str().unwrap());
    let path = room.0.clone();
    on_a_core(async move || {
        let missing = path.join("missing");
        let error = Direct.open(&missing, false).await.unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
        let text = format!("cannot open {}: No such file or directory", missing.display());
        assert!(error.to_string().starts_with(&text), "{error}");
        for error in [
            Direct.rename(&missing, &path.join("other")).await.unwrap_err(),
            Direct.remove(&missing).await.unwrap_err(),
            Direct.list(&missing).await.unwrap_err(),
            Direct.sync_directory(&missing).await.unwrap_err(),
            Direct.create(&missing.join("file")).await.unwrap_err(),
        ] {
            assert_eq!(error.source.kind(), io::ErrorKind::NotFound, "{error}");
        }
        if Path::new("/dev/full").exists() {
            // A device has no blocks to speak of, but it has an opinion.
            let full = Direct.open(Path::new("/dev/full"), true).await;
            if let Ok(full) = full {
                let error = full.write(0, &[0; 4096]).await.unwrap_err();
                assert_eq!(error.source.kind(), io::ErrorKind::StorageFull, "{error}");
            }
        }
    });
}
