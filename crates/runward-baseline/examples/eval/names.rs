//! The names of endpoints, and those behind a `*`.

use std::collections::BTreeSet;

use fastrand::Rng;

use crate::corpus::Listed;

/// The names behind one `*`.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) seed: u64,
    pub(crate) names: usize,
    pub(crate) days: f64,
    pub(crate) looks: Looks,
}

/// What the names behind a `*` look like.
#[derive(Clone, Debug)]
pub(crate) enum Looks {
    Numbered,
    Random,
    /// Names that real lists have, or that the platform documents.
    Real(Vec<String>),
}

/// All names that any list has without a `*`.
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    pub(crate) fn of(listed: &[Listed]) -> Names {
        let endpoints = listed
            .iter()
            .flat_map(|job| &job.versions)
            .flat_map(|version| &version.endpoints);
        let hosts = endpoints.filter_map(|endpoint| Some(host_and_port(endpoint)?.0));
        Names(hosts.filter(|host| !host.contains('*')).collect())
    }

    /// Those that a pattern with one `*` stands for.
    pub(crate) fn behind(&self, pattern: &str) -> Vec<String> {
        let Some((head, tail)) = pattern.split_once('*') else {
            return Vec::new();
        };
        let fits = |name: &&String| {
            name.len() > head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
        };
        self.0.iter().filter(fits).cloned().collect()
    }
}
impl Pool {
    /// One of the names behind the `*`, some more often than others. The names themselves are replaced over time.
    pub(crate) fn name(&self, pattern: &str, day: f64, rng: &mut Rng) -> String {
        let text = match &self.looks {
            Looks::Real(names) => {
                // Some are common, some are rare.
                let which = (rng.f64().powi(2) * names.len() as f64) as usize;
                return names[which].clone();
            }
            Looks::Numbered | Looks::Random => {
                // The square makes the first names the common ones.
                let which = (rng.f64().powi(2) * self.names as f64) as u64;
                let phase = (self.seed.rotate_left(which as u32 % 64) % 1_000) as f64 / 1_000.0;
                let generation = (day / (self.days * self.names as f64) + phase) as u64;
                let mut name = Rng::with_seed(self.seed ^ (which << 32) ^ generation);
                if matches!(self.looks, Looks::Numbered) {
                    format!("shard{}", which + generation * self.names as u64 % 400)
                } else {
                    let letters = b"abcdefghijklmnopqrstuvwxyz0123456789";
                    let part: String = (0..13)
                        .map(|_| char::from(letters[name.usize(..letters.len())]))
                        .collect();
                    format!("d{part}")
                }
            }
        };
        pattern.replacen('*', &text, 1).replace('*', "x")
    }
}

/// Takes what authors write: without a port, with odd ones.
pub(crate) fn host_and_port(endpoint: &str) -> Option<(String, u16)> {
    let (host, port) = endpoint.rsplit_once(':').unwrap_or((endpoint, "443"));
    let port = port.parse().unwrap_or(443);
    let host = host.trim_matches(|c: char| c == '"' || c == '\'' || c == ',' || c == '.');
    let usable = !host.is_empty() && host != "*" && !host.contains('/') && !host.contains(' ');
    usable.then(|| (host.to_owned(), port))
}
