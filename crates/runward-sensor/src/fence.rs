//! What a fenced job may reach, as the kernel's maps hold it.
//!
//! The kernel side (`bpf/verdict.h`) reads these maps and nothing else, so they are the whole policy: what is not in
//! them is refused, and a process that is gone can't change them.

use std::collections::HashSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use libbpf_rs::{MapCore, MapFlags, MapHandle, Object};
use runward_event::ProcessId;

use crate::abi::{
    self, rw_address_key, rw_binding, rw_bound, rw_fence, rw_grant, rw_grants, rw_net_key,
    rw_resolver_key,
};
use crate::{Clock, SensorError, load};

/// How many grants one network or name can hold: port ranges, after merging.
pub const GRANTS_MAX: usize = 32;
/// How many grants of names one address can hold.
pub const BOUND_MAX: usize = 16;
/// The longest name, in bytes.
const NAME_MAX: usize = 255;

/// What one rule allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The ports.
    pub ports: RangeInclusive<u16>,
    /// IANA's number of the transport protocol; `None` for any.
    pub transport: Option<u8>,
    /// The rule's number in the record, counted from 0.
    pub rule: u32,
    /// Scopes that a process must have, a bit each: see [`Fence::set_scopes`].
    pub needs: u64,
    /// Scopes that it must not have.
    pub forbids: u64,
}

/// What a job may reach, before anything was looked up.
#[derive(Clone, Debug, Default)]
pub struct FenceRules {
    /// Networks, each with everything that holds for addresses whose longest match it is.
    pub nets: Vec<(IpAddr, u8, Vec<Grant>)>,
    /// Names that the first bytes of a stream may say.
    pub names: Vec<(String, Vec<Grant>)>,
    /// Where the job's resolver listens, on the loopback addresses.
    pub resolver_port: u16,
    /// Whether some grants are for some processes only, so that [`Fence::set_scopes`] is going to be called.
    pub narrowed: bool,
}

/// The scope of every process whose scopes are known: a grant that forbids another needs this one, because nobody can
/// tell whether a process that was not looked at has the other.
pub const SCOPE_KNOWN: u64 = 1 << 63;

/// Why the fence could not take something. What it is about stays refused.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// More grants than one entry holds.
    #[error(
        "the policy has {count} separate port ranges for {place}, and the fence holds {max}: write them as fewer, wider ranges"
    )]
    TooManyGrants {
        /// The network, name or address.
        place: String,
        /// How many there are.
        count: usize,
        /// How many fit.
        max: usize,
    },
    /// A name that DNS can't hold.
    #[error("the name {0} is longer than DNS allows: shorten or remove it")]
    NameTooLong(String),
    /// The kernel refused the entry, most likely because the map is full.
    #[error(
        "the kernel's map {map} takes no more entries ({source}): use fewer or wider endpoints"
    )]
    Map {
        /// The map.
        map: &'static str,
        /// The kernel's word.
        source: libbpf_rs::Error,
    },
}

/// The maps of one job's fence. Everything here can be done while the job runs, from another thread.
#[derive(Debug)]
pub struct Fence {
    job: u64,
    fences: MapHandle,
    nets: MapHandle,
    bindings: MapHandle,
    names: MapHandle,
    resolvers: MapHandle,
    scopes: MapHandle,
}

impl Fence {
    pub(crate) fn open(object: &Object, job: u64) -> Result<Fence, SensorError> {
        Ok(Fence {
            job,
            fences: load::map(object, "fences")?,
            nets: load::map(object, "nets")?,
            bindings: load::map(object, "bindings")?,
            names: load::map(object, "names")?,
            resolvers: load::map(object, "resolvers")?,
            scopes: load::map(object, "scopes")?,
        })
    }

    /// Puts the rules in force. The job is fenced from the last step on, when all of them stand.
    pub(crate) fn raise(&self, rules: &FenceRules) -> Result<(), FenceError> {
        for (address, prefix_len, grants) in &rules.nets {
            let key = net_key(self.job, *address, *prefix_len);
            let grants = pack(grants, || format!("{address}/{prefix_len}"))?;
            put(
                &self.nets,
                "nets",
                abi::bytes_of(&key),
                abi::bytes_of(&grants),
            )?;
        }
        for (name, grants) in &rules.names {
            self.allow_name(name, grants)?;
        }
        let fence = rw_fence {
            resolver_port: rules.resolver_port,
            narrowed: u8::from(rules.narrowed),
            ..rw_fence::default()
        };
        put(
            &self.fences,
            "fences",
            &self.job.to_ne_bytes(),
            abi::bytes_of(&fence),
        )
    }

    /// Puts other rules in the place of those in force, which must allow no more than these did: at no time more is allowed
    /// than before. What names have granted so far is taken back; they are to be looked up again.
    ///
    /// Nobody else may change the fence meanwhile. After an error, the rules are partly the old ones.
    pub fn tighten(&self, rules: &FenceRules) -> Result<(), FenceError> {
        let before = own_keys(&self.nets, |key| net_job(key) == Some(self.job));
        let named = own_keys(&self.names, |key| first_job(key) == Some(self.job));
        self.raise(rules)?;
        let nets: HashSet<Vec<u8>> = rules
            .nets
            .iter()
            .map(|(address, prefix_len, _)| {
                abi::bytes_of(&net_key(self.job, *address, *prefix_len)).to_vec()
            })
            .collect();
        let names = rules.names.iter();
        let names: HashSet<Vec<u8>> = names
            .map(|(name, _)| name_key(self.job, name))
            .collect::<Result<_, _>>()?;
        let bound = own_keys(&self.bindings, |key| first_job(key) == Some(self.job));
        let over = |keys: Vec<Vec<u8>>, kept: &HashSet<Vec<u8>>| {
            keys.into_iter().filter(|key| !kept.contains(key)).collect()
        };
        remove(&self.nets, "nets", over(before, &nets))?;
        remove(&self.names, "names", over(named, &names))?;
        remove(&self.bindings, "bindings", bound)
    }

    /// Lets streams say this name, on these ports.
    pub fn allow_name(&self, name: &str, grants: &[Grant]) -> Result<(), FenceError> {
        let key = name_key(self.job, name)?;
        let grants = pack(grants, || name.to_owned())?;
        put(&self.names, "names", &key, abi::bytes_of(&grants))
    }

    /// Lets the job reach an address that a name stands for, for so long. What other names granted before stays, until
    /// its own end.
    ///
    /// One thread at a time: the kernel replaces an entry as a whole, and this reads it before.
    pub fn bind(
        &self,
        address: IpAddr,
        grants: &[Grant],
        lifetime: Duration,
    ) -> Result<(), FenceError> {
        let key = rw_address_key {
            job: self.job,
            addr: octets(address),
        };
        let now = Clock::boot_ns();
        let lifetime = u64::try_from(lifetime.as_nanos()).unwrap_or(u64::MAX);
        let known = self
            .bindings
            .lookup(abi::bytes_of(&key), MapFlags::ANY)
            .ok()
            .flatten();
        let known = known.and_then(|bytes| Some(abi::read::<rw_binding>(&bytes)?.0));
        let mut bound: Vec<rw_bound> = known.map_or_else(Vec::new, |binding| {
            let count = usize::try_from(binding.count).unwrap_or(0);
            binding.list.iter().take(count).copied().collect()
        });
        for grant in grants {
            let grant = raw_grant(grant);
            bound.retain(|other| !same(&other.grant, &grant));
            bound.push(rw_bound {
                grant,
                expires_boot_ns: now.saturating_add(lifetime),
            });
        }
        if bound.len() > BOUND_MAX {
            // What is over makes room; what is not over is not taken back.
            bound.retain(|other| other.expires_boot_ns >= now);
        }
        if bound.len() > BOUND_MAX {
            return Err(FenceError::TooManyGrants {
                place: address.to_string(),
                count: bound.len(),
                max: BOUND_MAX,
            });
        }
        let mut binding = rw_binding {
            count: u32::try_from(bound.len()).unwrap_or(0),
            ..rw_binding::default()
        };
        for (place, bound) in binding.list.iter_mut().zip(bound) {
            *place = bound;
        }
        let key = abi::bytes_of(&key);
        let binding = abi::bytes_of(&binding);
        put(&self.bindings, "bindings", key, binding).or_else(|_| {
            self.forget_expired(now);
            put(&self.bindings, "bindings", key, binding)
        })
    }

    /// Makes room in the map of addresses, which is full: what is over for an address is of no use any more.
    fn forget_expired(&self, now: u64) {
        let is_over = |key: &Vec<u8>| {
            let value = self.bindings.lookup(key, MapFlags::ANY).ok().flatten();
            let binding = value.and_then(|bytes| Some(abi::read::<rw_binding>(&bytes)?.0));
            binding.is_some_and(|binding| {
                let count = usize::try_from(binding.count).unwrap_or(0);
                let mut bounds = binding.list.iter().take(count);
                bounds.all(|bound| bound.expires_boot_ns < now)
            })
        };
        let over: Vec<Vec<u8>> = self.bindings.keys().filter(is_over).collect();
        for key in over {
            // Another thread may have been first.
            let _ = self.bindings.delete(&key);
        }
    }

    /// Says which scopes a process has, from now until its next program. Until it is said, it has none.
    pub fn set_scopes(&self, process: ProcessId, scopes: u64) -> Result<(), FenceError> {
        let scopes = scopes | SCOPE_KNOWN;
        put(
            &self.scopes,
            "scopes",
            &process.0.to_ne_bytes(),
            &scopes.to_ne_bytes(),
        )
    }

    /// Tells the kernel that the job's resolver listens in a network namespace, which is named by the kernel's cookie.
    pub fn resolver_listens(&self, netns: u64, port: u16) -> Result<(), FenceError> {
        let key = rw_resolver_key {
            job: self.job,
            netns,
        };
        let resolver = rw_fence {
            resolver_port: port,
            ..rw_fence::default()
        };
        put(
            &self.resolvers,
            "resolvers",
            abi::bytes_of(&key),
            abi::bytes_of(&resolver),
        )
    }
}

/// The keys of a map that belong to a job.
fn own_keys(map: &MapHandle, is_own: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
    map.keys().filter(|key| is_own(key)).collect()
}

/// The job of a key that begins with it.
fn first_job(key: &[u8]) -> Option<u64> {
    key.first_chunk().map(|job| u64::from_ne_bytes(*job))
}

fn net_job(key: &[u8]) -> Option<u64> {
    let (key, _) = abi::read::<rw_net_key>(key)?;
    Some(u64::from_ne_bytes(key.job))
}

fn remove(map: &MapHandle, name: &'static str, keys: Vec<Vec<u8>>) -> Result<(), FenceError> {
    for key in keys {
        match map.delete(&key) {
            Err(source) if source.kind() != libbpf_rs::ErrorKind::NotFound => {
                return Err(FenceError::Map { map: name, source });
            }
            _ => {}
        }
    }
    Ok(())
}

pub(crate) fn put(
    map: &MapHandle,
    name: &'static str,
    key: &[u8],
    value: &[u8],
) -> Result<(), FenceError> {
    map.update(key, value, MapFlags::ANY)
        .map_err(|source| FenceError::Map { map: name, source })
}

pub(crate) fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn net_key(job: u64, address: IpAddr, prefix_len: u8) -> rw_net_key {
    let before = if address.is_ipv4() { 64 + 96 } else { 64 };
    rw_net_key {
        prefix_len: before + u32::from(prefix_len),
        job: job.to_ne_bytes(),
        addr: octets(address),
    }
}

fn name_key(job: u64, name: &str) -> Result<Vec<u8>, FenceError> {
    if name.len() > NAME_MAX {
        return Err(FenceError::NameTooLong(name.to_owned()));
    }
    let mut key = job.to_ne_bytes().to_vec();
    key.extend_from_slice(name.as_bytes());
    key.resize(8 + NAME_MAX + 1, 0);
    Ok(key)
}

fn raw_grant(grant: &Grant) -> rw_grant {
    rw_grant {
        port_low: *grant.ports.start(),
        port_high: *grant.ports.end(),
        transport: grant.transport.unwrap_or(0),
        rule: grant.rule.saturating_add(1),
        needs: if grant.forbids == 0 {
            grant.needs
        } else {
            grant.needs | SCOPE_KNOWN
        },
        forbids: grant.forbids,
        ..rw_grant::default()
    }
}

fn same(a: &rw_grant, b: &rw_grant) -> bool {
    a.port_low == b.port_low
        && a.port_high == b.port_high
        && a.transport == b.transport
        && a.needs == b.needs
        && a.forbids == b.forbids
}

fn pack(grants: &[Grant], place: impl FnOnce() -> String) -> Result<rw_grants, FenceError> {
    if grants.len() > GRANTS_MAX {
        return Err(FenceError::TooManyGrants {
            place: place(),
            count: grants.len(),
            max: GRANTS_MAX,
        });
    }
    let mut packed = rw_grants {
        count: u32::try_from(grants.len()).unwrap_or(0),
        ..rw_grants::default()
    };
    for (place, grant) in packed.list.iter_mut().zip(grants) {
        *place = raw_grant(grant);
    }
    Ok(packed)
}
