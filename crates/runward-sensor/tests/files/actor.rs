//! The other side: a process that alters files, one way each. This test binary runs itself for that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags, RenameFlags};

/// Does nothing, unless the harness started this process as an actor.
#[test]
fn entry() {
    let (Ok(way), Some(dir)) = (
        std::env::var("RUNWARD_FILES_ACTOR"),
        std::env::var_os("RUNWARD_FILES_DIR"),
    ) else {
        return;
    };
    std::env::set_current_dir(PathBuf::from(dir)).unwrap();
    if let Err(error) = act(&way) {
        panic!("{way}: {error}");
    }
}

const A: &str = "src/a.txt";
const B: &str = "src/b.txt";

fn act(way: &str) -> io::Result<()> {
    match way {
        "write" => fs::write(A, "changed\n"),
        "write the same" => fs::write(A, "original a\n"),
        "append" => OpenOptions::new()
            .append(true)
            .open(A)?
            .write_all(b"more\n"),
        "truncate" => truncate(Path::new(A), 3),
        "truncate to the same" => truncate(Path::new(A), 11),
        "ftruncate" => OpenOptions::new().write(true).open(A)?.set_len(3),
        "rename over" => {
            fs::write("src/a.tmp", "changed\n")?;
            fs::rename("src/a.tmp", A)
        }
        "rename over from outside" => {
            let outside = outside()?;
            fs::write(outside.join("x"), "changed\n")?;
            fs::rename(outside.join("x"), A)?;
            fs::remove_dir_all(outside)
        }
        "rename one over the other" => fs::rename(B, A),
        "exchange" => Ok(rustix::fs::renameat_with(
            CWD,
            A,
            CWD,
            B,
            RenameFlags::EXCHANGE,
        )?),
        "exchange with a new file" => {
            fs::write("new", "changed\n")?;
            Ok(rustix::fs::renameat_with(
                CWD,
                A,
                CWD,
                "new",
                RenameFlags::EXCHANGE,
            )?)
        }
        "mmap" => map(Path::new(A), b"CHANGED"),
        "mmap after close and rename" => {
            let mapping = Mapping::new(Path::new(A))?;
            fs::rename(A, "elsewhere")?;
            fs::rename("elsewhere", A)?;
            mapping.store(b"CHANGED");
            Ok(())
        }
        "mmap and stay" => {
            let mapping = Mapping::new(Path::new(A))?;
            mapping.store(b"CHANGED");
            fs::write("ready", "")?;
            wait_for(Path::new("leave"));
            std::process::exit(0)
        }
        "copy_file_range" => {
            let (from, to) = (File::open(B)?, OpenOptions::new().write(true).open(A)?);
            rustix::fs::copy_file_range(&from, None, &to, None, 11).map(drop)?;
            Ok(())
        }
        "sendfile" => {
            let (from, to) = (File::open(B)?, OpenOptions::new().write(true).open(A)?);
            rustix::fs::sendfile(&to, &from, None, 11).map(drop)?;
            Ok(())
        }
        "splice" => {
            let (out, into) = rustix::pipe::pipe()?;
            File::from(into).write_all(b"changed\n")?;
            let to = OpenOptions::new().write(true).open(A)?;
            let flags = rustix::pipe::SpliceFlags::empty();
            rustix::pipe::splice(&out, None, &to, None, 8, flags).map(drop)?;
            Ok(())
        }
        "hard link" => {
            fs::hard_link(A, "other-name")?;
            fs::write("other-name", "changed\n")
        }
        "hard link outside" => {
            let outside = outside()?;
            fs::hard_link(A, outside.join("x"))?;
            fs::write(outside.join("x"), "changed\n")?;
            fs::remove_dir_all(outside)
        }
        "hard link in a silenced folder" => {
            // Enough noise, over enough time, for the watcher to silence the folder.
            for round in 0..5 {
                for file in 0..200 {
                    fs::write(format!("ignored/{round}-{file}.o"), "")?;
                    fs::write(format!("ignored/quiet/{round}-{file}.o"), "")?;
                }
                std::thread::sleep(std::time::Duration::from_millis(60));
            }
            fs::hard_link(A, "ignored/quiet/x")?;
            fs::write("ignored/quiet/x", "changed\n")?;
            fs::write("ignored/kept.txt", "changed\n")
        }
        "io_uring" => uring::write(Path::new(A), b"changed\n"),
        "delete and create" => {
            fs::remove_file(A)?;
            fs::write(A, "changed\n")
        }
        "delete and create the same" => {
            fs::remove_file(A)?;
            fs::write(A, "original a\n")
        }
        "delete" => fs::remove_file(A),
        "tmpfile" => {
            let flags = OFlags::TMPFILE | OFlags::RDWR;
            let mut file = File::from(rustix::fs::open("src", flags, Mode::RUSR | Mode::WUSR)?);
            file.write_all(b"changed\n")?;
            fs::remove_file(A)?;
            rustix::fs::linkat(&file, "", CWD, A, AtFlags::EMPTY_PATH)?;
            // Written once more, after it got its name.
            file.write_all(b"and again\n")
        }
        "punch a hole" => {
            let file = OpenOptions::new().write(true).open(A)?;
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            Ok(rustix::fs::fallocate(&file, flags, 0, 4)?)
        }
        "replace the folder" => {
            fs::create_dir("new")?;
            fs::write("new/a.txt", "changed\n")?;
            fs::rename("src", "old")?;
            fs::rename("new", "src")
        }
        "replace the folder and write in it" => {
            fs::rename("src", "old")?;
            fs::create_dir_all("src/deep")?;
            fs::write("src/deep/c.txt", "changed\n")
        }
        "symbolic link" => {
            fs::remove_file("link")?;
            std::os::unix::fs::symlink("/etc/passwd", "link")
        }
        "become a link" => {
            fs::rename(A, "moved")?;
            std::os::unix::fs::symlink("../moved", A)
        }
        "become a fifo" => {
            fs::remove_file(A)?;
            let kind = rustix::fs::FileType::Fifo;
            Ok(rustix::fs::mknodat(
                CWD,
                A,
                kind,
                Mode::RUSR | Mode::WUSR,
                0,
            )?)
        }
        "descriptor passed on" => {
            // The child writes through a descriptor that this process opened.
            let mut file = OpenOptions::new().write(true).open(A)?;
            let script = "echo changed by the child >&1";
            let status = std::process::Command::new("/bin/sh")
                .args(["-c", script])
                .stdout(file.try_clone()?)
                .status()?;
            assert!(status.success());
            file.seek(SeekFrom::Start(0))?;
            Ok(())
        }
        "write and keep open" => {
            let mut file = OpenOptions::new().write(true).open(A)?;
            file.write_all(b"CHANGED")?;
            fs::write("ready", "")?;
            wait_for(Path::new("leave"));
            Ok(())
        }
        "large" => {
            let mut file = File::create(A)?;
            for _ in 0..20 {
                file.write_all(&vec![7; 1 << 20])?;
            }
            Ok(())
        }
        "leased" => {
            // A write lease would make whoever opens the file wait.
            let file = OpenOptions::new().write(true).open(A)?;
            lease(&file)?;
            (&file).write_all(b"CHANGED")?;
            fs::write("ready", "")?;
            wait_for(Path::new("leave"));
            Ok(())
        }
        other => super::records::act(other),
    }
}

/// A fresh folder beside the workspace, on the same file system.
fn outside() -> io::Result<PathBuf> {
    let here = std::env::current_dir()?;
    let beside = here.with_extension("outside");
    fs::create_dir(&beside)?;
    Ok(beside)
}

pub(crate) fn wait_for(path: &Path) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(15);
    while !path.exists() && std::time::Instant::now() < end {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[expect(unsafe_code, reason = "no library offers truncate(2) by name")]
fn truncate(path: &Path, len: i64) -> io::Result<()> {
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: `path` ends with a NUL, and the call only reads it.
    match unsafe { libc::truncate(path.as_ptr(), len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[expect(unsafe_code, reason = "no library offers leases")]
fn lease(file: &File) -> io::Result<()> {
    // SAFETY: ignoring a signal runs no code of ours. Whoever opens a leased file has its holder told by SIGIO.
    unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
    // SAFETY: the call takes two integers and an open descriptor.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn map(path: &Path, bytes: &[u8]) -> io::Result<()> {
    Mapping::new(path)?.store(bytes);
    Ok(())
}

/// A file in memory, whose descriptor is closed already.
pub(crate) struct Mapping(*mut u8);

impl Mapping {
    #[expect(unsafe_code, reason = "writing through a memory map is what is tested")]
    pub(crate) fn new(path: &Path) -> io::Result<Mapping> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the kernel chooses the address, and the file is open.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                11,
                protection,
                libc::MAP_SHARED,
                file.as_fd().as_raw_fd(),
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Mapping(at.cast()))
    }

    #[expect(unsafe_code, reason = "writing through a memory map is what is tested")]
    fn store(&self, bytes: &[u8]) {
        assert!(bytes.len() <= 11);
        // SAFETY: the map is 11 bytes long at least, writable, and never unmapped before the process ends.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0, bytes.len()) };
    }
}

/// As little of io_uring as it takes to write once.
mod uring {
    use super::*;

    const OP_WRITE: u8 = 23;
    const ENTER_GETEVENTS: u32 = 1;
    const OFF_SQ_RING: i64 = 0;
    const OFF_SQES: i64 = 0x1000_0000;

    #[repr(C)]
    #[derive(Default)]
    struct Offsets {
        head: u32,
        tail: u32,
        mask: u32,
        entries: u32,
        flags: u32,
        dropped: u32,
        array: u32,
        reserved: u32,
        user: u64,
    }

    #[repr(C)]
    #[derive(Default)]
    struct Params {
        sq_entries: u32,
        cq_entries: u32,
        flags: u32,
        sq_thread_cpu: u32,
        sq_thread_idle: u32,
        features: u32,
        wq_fd: u32,
        reserved: [u32; 3],
        sq: Offsets,
        // overflow and cqes stand where flags and dropped do not; only the order of the first four matters here.
        cq: Offsets,
    }

    #[expect(unsafe_code, reason = "no library here offers io_uring")]
    #[expect(
        clippy::multiple_unsafe_ops_per_block,
        reason = "one reason holds for the whole entry"
    )]
    pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        let mut params = Params::default();
        // SAFETY: `params` is a whole `struct io_uring_params`, zeroed.
        let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, &raw mut params) } as i32;
        if ring < 0 {
            return Err(io::Error::last_os_error());
        }
        // One map holds both rings since Linux 5.4; two pages are more than rings of one entry need.
        // SAFETY: the kernel chooses the addresses of both maps, and the ring is open.
        let (rings, entries) = unsafe {
            let map = |offset| {
                libc::mmap(
                    std::ptr::null_mut(),
                    4096,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_SHARED | libc::MAP_POPULATE,
                    ring,
                    offset,
                )
            };
            (map(OFF_SQ_RING), map(OFF_SQES))
        };
        if rings == libc::MAP_FAILED || entries == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the first entry is 64 bytes at the start of its map, the tail and the array lie where the kernel
        // said, and nobody else uses this ring.
        let submitted = unsafe {
            let entry: *mut u8 = entries.cast();
            entry.write(OP_WRITE);
            entry.add(4).cast::<i32>().write(file.as_raw_fd());
            entry.add(16).cast::<u64>().write(bytes.as_ptr() as u64);
            entry.add(24).cast::<u32>().write(bytes.len() as u32);
            let ring_at: *mut u8 = rings.cast();
            ring_at.add(params.sq.array as usize).cast::<u32>().write(0);
            ring_at.add(params.sq.tail as usize).cast::<u32>().write(1);
            libc::syscall(libc::SYS_io_uring_enter, ring, 1, 1, ENTER_GETEVENTS, 0, 0)
        };
        drop(file);
        let mut written = Vec::new();
        File::open(path)?.read_to_end(&mut written)?;
        if submitted != 1 || !written.starts_with(bytes) {
            return Err(io::Error::other("io_uring did not write"));
        }
        Ok(())
    }
}
