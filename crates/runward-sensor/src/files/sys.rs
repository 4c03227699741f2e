//! The four system calls that no library offers safely: fanotify's two and file handles' two.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The kernel's `MAX_HANDLE_SZ`: no file system's handle is longer.
pub(crate) const MAX_HANDLE: usize = 128;

/// A file handle as the kernel fills it in (`struct file_handle` with room for the longest).
#[repr(C)]
struct FileHandle {
    len: u32,
    kind: i32,
    bytes: [u8; MAX_HANDLE],
}

/// What `name_to_handle_at` told about a file.
pub(crate) struct NamedHandle {
    pub(crate) kind: i32,
    len: usize,
    bytes: [u8; MAX_HANDLE],
}

impl NamedHandle {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Makes a fanotify group: `fanotify_init(2)`.
#[expect(unsafe_code, reason = "no library offers every flag of fanotify_init")]
pub(crate) fn fanotify_init(flags: u32) -> io::Result<OwnedFd> {
    let event_flags = (libc::O_RDONLY | libc::O_LARGEFILE | libc::O_CLOEXEC) as u32;
    // SAFETY: the call takes two integers and touches no memory of ours.
    let fd = unsafe { libc::fanotify_init(flags, event_flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Adds, changes or removes a mark of a fanotify group: `fanotify_mark(2)`.
#[expect(unsafe_code, reason = "no library offers every flag of fanotify_mark")]
pub(crate) fn fanotify_mark(
    group: BorrowedFd<'_>,
    flags: u32,
    mask: u64,
    dir: BorrowedFd<'_>,
    path: &CStr,
) -> io::Result<()> {
    // SAFETY: both descriptors are open for the whole call, and `path` ends with a NUL; the kernel only reads it.
    let result = unsafe {
        libc::fanotify_mark(
            group.as_raw_fd(),
            flags,
            mask,
            dir.as_raw_fd(),
            path.as_ptr(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The handle of the file called `path` below `dir`, without following a last symbolic link: `name_to_handle_at(2)`.
///
/// An empty `path` means the file behind `dir` itself, which may be a descriptor opened with `O_PATH`.
#[expect(unsafe_code, reason = "no library offers name_to_handle_at")]
pub(crate) fn name_to_handle(dir: BorrowedFd<'_>, path: &CStr) -> io::Result<NamedHandle> {
    let mut handle = FileHandle {
        len: MAX_HANDLE as u32,
        kind: 0,
        bytes: [0; MAX_HANDLE],
    };
    let mut mount_id: libc::c_int = 0;
    // SAFETY: `handle` has room for the `len` bytes that it claims, `mount_id` is a writable int, `path` ends with
    // a NUL, and all three live until the call returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            dir.as_raw_fd(),
            path.as_ptr(),
            &raw mut handle,
            &raw mut mount_id,
            libc::AT_EMPTY_PATH,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(NamedHandle {
        kind: handle.kind,
        len: (handle.len as usize).min(MAX_HANDLE),
        bytes: handle.bytes,
    })
}

/// Opens the folder that a handle names, for its place only (`O_PATH`): `open_by_handle_at(2)`.
#[expect(unsafe_code, reason = "no library offers open_by_handle_at")]
pub(crate) fn open_folder_by_handle(
    mount: BorrowedFd<'_>,
    kind: i32,
    bytes: &[u8],
) -> io::Result<OwnedFd> {
    let mut handle = FileHandle {
        len: 0,
        kind,
        bytes: [0; MAX_HANDLE],
    };
    let Some(room) = handle.bytes.get_mut(..bytes.len()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    room.copy_from_slice(bytes);
    handle.len = bytes.len() as u32;
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: `mount` is open for the whole call and `handle` holds the `len` bytes that it claims; the kernel
    // only reads it.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            mount.as_raw_fd(),
            &raw mut handle,
            flags,
        )
    };
    let Ok(fd) = i32::try_from(fd) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
