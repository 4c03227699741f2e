//! Descriptors that this process was started with, and that whoever it starts must not get.

use std::io;

/// The first one that is no standard stream.
const FIRST: libc::c_uint = 3;

/// Has every open descriptor, but for the standard streams, closed in programs that this process becomes or starts. A
/// process that stays would else keep a pipe open that somebody reads to its end.
pub fn keep_to_ourselves() -> io::Result<()> {
    // SAFETY: the call takes three numbers, no memory, and closes nothing in this process: owned descriptors stay what they
    // are. Neither the standard library nor rustix has it without a descriptor in hand.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    match failed {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
