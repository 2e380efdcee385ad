//! Loading an archive of 500 MiB and five layers beside what it cannot be without: reading, hashing and writing those bytes, with
//! as many threads. Both take turns in one run, each ends when its bytes are on the disk; `cargo bench -p rcompose-image --bench load`.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rcompose_image::{Digest, Store};
use rcompose_sys::atomic::{TempDir, sync_filesystem};
use sha2::{Digest as _, Sha256};

const LAYERS: usize = 5;
const LAYER: usize = 100 << 20;
/// Bytes of one file: an image has a few large ones and many small ones.
const FILES: [usize; 4] = [4 << 10, 16 << 10, 1 << 20, 12 << 20];
const ROUNDS: usize = 7;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let folder = TempDir::new()?;
    let path = folder.path().join("archive.tar");
    let stretches = archive(&path)?;
    let (mut bare, mut ours, mut peak) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        bare.push(bare_load(&path, &stretches, &folder.path().join("bare"))?);
        // What was used before counts from here on.
        std::fs::write("/proc/self/clear_refs", "5")?;
        ours.push(store_load(&path, &folder.path().join("store"))?);
        peak = peak.max(peak_memory()?);
    }
    let ratio = median(&ours).as_secs_f64() / median(&bare).as_secs_f64();
    let size = (LAYERS * LAYER) as f64 / f64::from(1 << 20);
    println!("archive      {size:.0} MiB, {LAYERS} layers");
    println!("read, hash, write   {}", shown(&bare));
    println!("load                {}   {ratio:.2} times", shown(&ours));
    println!("memory at most      {} MiB", peak >> 20);
    Ok(())
}

fn shown(times: &[Duration]) -> String {
    let (least, most) = (times.iter().min(), times.iter().max());
    let milliseconds = |time: Option<&Duration>| time.map_or(0, Duration::as_millis);
    format!("{:5} ms ({} to {})", median(times).as_millis(), milliseconds(least), milliseconds(most))
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2]
}

/// Bytes of this process at its largest.
fn peak_memory() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}

/// Writes an archive; gives where its layers are in it.
fn archive(path: &Path) -> Result<Vec<(u64, u64)>, Failure> {
    let mut archive = tar::Builder::new(File::create(path)?);
    let (mut stretches, mut diff_ids, mut seed) = (Vec::new(), Vec::new(), 1_u64);
    for number in 0..LAYERS {
        let mut layer = tar::Builder::new(Vec::with_capacity(LAYER + (LAYER >> 3)));
        let mut total = 0;
        for (file, size) in FILES.iter().cycle().enumerate() {
            if total + size > LAYER {
                break;
            }
            let content: Vec<u8> = std::iter::repeat_with(|| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed.to_le_bytes()
            })
            .take(size / 8)
            .flatten()
            .collect();
            layer.append_data(&mut header(content.len()), format!("usr/{number}/{file}"), content.as_slice())?;
            total += size;
        }
        let layer = layer.into_inner()?;
        diff_ids.push(Digest::of(&layer).to_string());
        archive.append_data(&mut header(layer.len()), format!("layer{number}"), layer.as_slice())?;
        let end = std::io::Seek::stream_position(archive.get_mut())?;
        let padded = (layer.len() as u64).next_multiple_of(512);
        stretches.push((end - padded, layer.len() as u64));
    }
    let config = serde_json::json!({ "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids } }).to_string();
    let layers: Vec<String> = (0..LAYERS).map(|number| format!("layer{number}")).collect();
    let manifest = serde_json::json!([{ "Config": "config", "RepoTags": ["large:1"], "Layers": layers }]).to_string();
    archive.append_data(&mut header(config.len()), "config", config.as_bytes())?;
    archive.append_data(&mut header(manifest.len()), "manifest.json", manifest.as_bytes())?;
    archive.into_inner()?.sync_all()?;
    Ok(stretches)
}

fn header(size: usize) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// What has to be done in any case.
fn bare_load(archive: &Path, stretches: &[(u64, u64)], folder: &Path) -> Result<Duration, Failure> {
    std::fs::create_dir(folder)?;
    let begin = Instant::now();
    let next = AtomicUsize::new(0);
    let work = || {
        let source = File::open(archive)?;
        let mut buffer = vec![0; 128 << 10];
        while let Some((start, length)) = stretches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut target = File::create(folder.join(start.to_string()))?;
            let (mut hash, mut position) = (Sha256::new(), 0);
            while position < *length {
                let wanted = usize::try_from(length - position).unwrap_or(usize::MAX).min(buffer.len());
                let count = source.read_at(&mut buffer[..wanted], start + position)?;
                hash.update(&buffer[..count]);
                target.write_all(&buffer[..count])?;
                position += count as u64;
            }
            std::hint::black_box(hash.finalize());
        }
        Ok::<_, std::io::Error>(())
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    sync_filesystem(folder)?;
    let took = begin.elapsed();
    std::fs::remove_dir_all(folder)?;
    sync_filesystem(archive)?;
    Ok(took)
}

fn store_load(archive: &Path, folder: &Path) -> Result<Duration, Failure> {
    let store = Store::open(folder)?;
    let source = File::open(archive)?;
    let begin = Instant::now();
    store.load_file(source)?;
    let took = begin.elapsed();
    std::fs::remove_dir_all(folder)?;
    sync_filesystem(archive)?;
    Ok(took)
}
