//! The list of components, as CycloneDX 1.6 in JSON.
//!
//! Written here and not by cargo-cyclonedx, which takes the features of the whole workspace together, and knows nothing
//! of the C that is linked.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::components::Component;

/// The document, in the order of the components; the first is what they are in.
pub(super) fn document(
    version: &str,
    epoch: u64,
    binary_sha256: &str,
    components: &[Component],
) -> anyhow::Result<Vec<u8>> {
    let (own, parts) = components.split_first().context("nothing is linked")?;
    let mut subject = described(own, "application");
    subject["hashes"] = hashes(binary_sha256);
    let dependencies: Vec<Value> = components
        .iter()
        .map(|component| {
            let on = component.needs.iter();
            let on: Vec<String> = on.map(|(name, version)| reference(name, version)).collect();
            json!({ "ref": reference(&component.name, &component.version), "dependsOn": on })
        })
        .collect();
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial(binary_sha256),
        "version": 1,
        "metadata": {
            "timestamp": time(epoch),
            "tools": { "components": [{ "type": "application", "name": "xtask dist", "version": version }] },
            "component": subject,
        },
        "components": parts.iter().map(|part| described(part, "library")).collect::<Vec<_>>(),
        "dependencies": dependencies,
    });
    let mut text = serde_json::to_vec_pretty(&document)?;
    text.push(b'\n');
    Ok(text)
}

fn described(component: &Component, kind: &str) -> Value {
    let mut value = json!({
        "type": kind,
        "bom-ref": reference(&component.name, &component.version),
        "name": component.name,
        "version": component.version,
        "licenses": [{ "expression": component.licence }],
    });
    if let Some(purl) = &component.purl {
        value["purl"] = purl.as_str().into();
    }
    if let Some(sha256) = &component.sha256 {
        value["hashes"] = hashes(sha256);
    }
    value
}

fn reference(name: &str, version: &str) -> String {
    format!("{name}@{version}")
}

fn hashes(sha256: &str) -> Value {
    json!([{ "alg": "SHA-256", "content": sha256 }])
}

/// A UUID of version 8 (RFC 9562) that stands for this binary and no other.
fn serial(sha256: &str) -> String {
    let part = |from: usize, to: usize| sha256.get(from..to).unwrap_or_default();
    format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 15),
        part(15, 18),
        part(18, 30)
    )
}

/// RFC 3339, from seconds since 1970. The days are counted as in Howard Hinnant's `civil_from_days`.
fn time(epoch: u64) -> String {
    let (days, second) = (epoch / 86_400 + 719_468, epoch % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
        ];
        for (epoch, expected) in table {
            assert_eq!(time(epoch), expected);
        }
    }
}
