//! The name that a file keeps whatever it is called: the kernel's file handle.

use std::fmt;
use std::os::fd::BorrowedFd;

use crate::files::sys;

/// A file handle inside an event or a system call's answer, not yet copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawHandle<'a> {
    /// The file system, as `statfs` tells it.
    pub(crate) fsid: [u8; 8],
    /// The file system's own kind of handle.
    pub(crate) kind: i32,
    /// What the file system wrote: at most [`sys::MAX_HANDLE`] bytes.
    pub(crate) bytes: &'a [u8],
}

/// The key of one file (inode and generation) of one file system.
///
/// Of a fixed size, because the sensor keeps two of them for every tracked file: the handles of ext4, XFS, Btrfs and
/// tmpfs fit; a longer one is kept as its SHA-1, and can be compared but not opened.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Handle {
    len: u8,
    data: [u8; Handle::ROOM],
}

impl Handle {
    /// Makes the whole key 48 bytes long.
    const ROOM: usize = 47;
    /// `len` of a handle that was too long.
    const DIGEST: u8 = u8::MAX;

    pub(crate) fn new(raw: RawHandle<'_>) -> Handle {
        let mut data = [0; Handle::ROOM];
        let parts: [&[u8]; 3] = [&raw.fsid, &raw.kind.to_ne_bytes(), raw.bytes];
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if len > Handle::ROOM {
            let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha1);
            for part in parts {
                hasher.update(part);
            }
            // The hasher only fails on a known attack on SHA-1, which a file system does not mount on its handles.
            if let Ok(id) = hasher.try_finalize() {
                for (to, from) in data.iter_mut().zip(id.as_bytes()) {
                    *to = *from;
                }
            }
            return Handle {
                len: Handle::DIGEST,
                data,
            };
        }
        for (to, from) in data.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        Handle {
            len: len as u8,
            data,
        }
    }

    /// The handle of the open file `fd`, on the file system `fsid`.
    pub(crate) fn of(fd: BorrowedFd<'_>, fsid: [u8; 8]) -> std::io::Result<Handle> {
        let named = sys::name_to_handle(fd, c"")?;
        Ok(Handle::new(RawHandle {
            fsid,
            kind: named.kind,
            bytes: named.bytes(),
        }))
    }

    /// The handle as the kernel takes it back; `None` when it was too long to keep.
    pub(crate) fn raw(&self) -> Option<RawHandle<'_>> {
        if self.len == Handle::DIGEST {
            return None;
        }
        let data = self.data.get(..usize::from(self.len))?;
        let (fsid, rest) = data.split_first_chunk::<8>()?;
        let (kind, bytes) = rest.split_first_chunk::<4>()?;
        Some(RawHandle {
            fsid: *fsid,
            kind: i32::from_ne_bytes(*kind),
            bytes,
        })
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.raw() {
            Some(raw) => raw.fmt(f),
            None => f.write_str("Handle(too long)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_fits_comes_back(fsid: [u8; 8], kind: i32, bytes in prop::collection::vec(any::<u8>(), 0..=35)) {
            let raw = RawHandle { fsid, kind, bytes: &bytes };
            let handle = Handle::new(raw);
            prop_assert_eq!(handle.raw(), Some(raw));
        }

        #[test]
        fn what_does_not_fit_can_still_be_told_apart(mut bytes in prop::collection::vec(any::<u8>(), 36..200), at: prop::sample::Index) {
            let one = Handle::new(RawHandle { fsid: [1; 8], kind: 1, bytes: &bytes });
            prop_assert_eq!(one.raw(), None);
            let at = at.index(bytes.len());
            bytes[at] ^= 1;
            prop_assert_ne!(one, Handle::new(RawHandle { fsid: [1; 8], kind: 1, bytes: &bytes }));
        }
    }
}
