//! The block list, as the kernel's maps hold it.
//!
//! The kernel side (`bpf/listed.h`) looks up addresses as they are, and names by a hash that both sides make alike.

use std::net::IpAddr;

use libbpf_rs::{MapHandle, Object};

use crate::abi::{self, rw_listed_net};
use crate::fence::{FenceError, octets, put};
use crate::{SensorError, load};

/// Destinations that no job of a sensor reaches, whatever a policy allows.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// Addresses and networks, each with the length of its prefix.
    pub nets: Vec<(IpAddr, u8)>,
    /// Names in canonical form: lower case, no dot at the end.
    pub names: Vec<ListedName>,
}

/// A name of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedName {
    /// The name.
    pub name: String,
    /// Whether what is below it is meant, and not it itself.
    pub below: bool,
}

impl Listed {
    /// How many entries the larger of the kernel's maps has to hold; 0 when nothing is listed.
    pub fn room(&self) -> u32 {
        u32::try_from(self.nets.len().max(self.names.len())).unwrap_or(u32::MAX)
    }

    pub(crate) fn fill(&self, object: &Object) -> Result<(), SensorError> {
        let nets = load::map(object, "listed_nets")?;
        for (address, prefix_len) in &self.nets {
            let before = if address.is_ipv4() { 96 } else { 0 };
            let key = rw_listed_net {
                prefix_len: before + u32::from(*prefix_len),
                addr: octets(*address),
            };
            entry(&nets, "listed_nets", abi::bytes_of(&key))?;
        }
        let names = load::map(object, "listed_names")?;
        for name in &self.names {
            entry(&names, "listed_names", &hash(name).to_ne_bytes())?;
        }
        Ok(())
    }
}

fn entry(map: &MapHandle, name: &'static str, key: &[u8]) -> Result<(), FenceError> {
    put(map, name, key, &[1])
}

/// `RW_LISTED_HASH_START` and `RW_LISTED_HASH_PRIME` of `bpf/abi.h`.
const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;
const HASH_PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a over the name from its last byte to its first, and then what tells the name from what is below it.
fn hash(listed: &ListedName) -> u64 {
    let last = if listed.below { b'.' } else { 0 };
    let bytes = listed.name.bytes().rev().chain([last]);
    bytes.fold(HASH_START, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(HASH_PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_what_is_below_it_are_two_entries() {
        let listed = |name: &str, below| ListedName {
            name: name.to_owned(),
            below,
        };
        let hashes = [
            hash(&listed("evil.example", false)),
            hash(&listed("evil.example", true)),
            hash(&listed("live.example", false)),
        ];
        assert_ne!(hashes[0], hashes[1]);
        assert_ne!(hashes[0], hashes[2]);
    }
}
