//! States as bytes.
//!
//! One byte says which version of this format a reader must know at least, and the value follows as postcard writes it.
//! A later version adds fields behind the last one: a reader that doesn't know them reads what it knows, keeps the rest as
//! it is, and writes it again. Only where that can't be done is the first byte raised, and older readers leave such a
//! state alone.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::baseline::DecodeError;

/// The version that a reader must know.
const NEEDS: u8 = 1;

/// A value, and behind it what a newer version added.
pub(crate) fn written<T: Serialize>(value: &T, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![NEEDS];
    // Writing plain data into memory can't fail.
    bytes.extend(postcard::to_allocvec(value).unwrap_or_default());
    bytes.extend_from_slice(rest);
    bytes
}

/// A value, and what stands behind it.
pub(crate) fn read<T: DeserializeOwned>(
    bytes: &[u8],
    max: usize,
) -> Result<(T, &[u8]), DecodeError> {
    let (needs, body) = bytes.split_first().ok_or(DecodeError::Damaged)?;
    if *needs > NEEDS {
        return Err(DecodeError::Newer(*needs));
    }
    if *needs == 0 || bytes.len() > max {
        return Err(DecodeError::Damaged);
    }
    postcard::take_from_bytes(body).map_err(|_| DecodeError::Damaged)
}
