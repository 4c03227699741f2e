//! What is taken out of HTTPS and SVCB records (RFC 9460).
//!
//! `ech` hides the server's name from the fence, which reads it from the first bytes of a connection. The address
//! hints are taken out as well, rather than bound: a client asks for the addresses beside them anyway, and then every
//! address that leaves is of an A or AAAA record whose chain was followed.

use hickory_proto::rr::rdata::svcb::{SVCB, SvcParamKey, SvcParamValue};
use hickory_proto::rr::{RData, Record};

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stripped {
    /// There was nothing to take out.
    Same,
    /// Something was taken out.
    Changed,
    /// The record says that it must not be used without what would be taken out: it has to go.
    Useless,
}

/// Takes out of a record what a client must not have. Records of other types stay the same.
pub(crate) fn strip(record: &mut Record) -> Stripped {
    match &mut record.data {
        RData::HTTPS(https) => strip_parameters(&mut https.0),
        RData::SVCB(svcb) => strip_parameters(svcb),
        _ => Stripped::Same,
    }
}

fn strip_parameters(svcb: &mut SVCB) -> Stripped {
    let needs_ech = svcb.svc_params.iter().any(|(_, value)| {
        matches!(value, SvcParamValue::Mandatory(list) if list.0.contains(&SvcParamKey::EchConfigList))
    });
    if needs_ech {
        return Stripped::Useless;
    }
    let before = svcb.svc_params.len();
    svcb.svc_params.retain(|(key, _)| !is_taken_out(*key));
    if svcb.svc_params.len() == before {
        return Stripped::Same;
    }
    // A list of mandatory keys may only name keys that are there, and may not be empty.
    for (_, value) in &mut svcb.svc_params {
        if let SvcParamValue::Mandatory(list) = value {
            list.0.retain(|key| !is_taken_out(*key));
        }
    }
    svcb.svc_params
        .retain(|(_, value)| !matches!(value, SvcParamValue::Mandatory(list) if list.0.is_empty()));
    Stripped::Changed
}

fn is_taken_out(key: SvcParamKey) -> bool {
    matches!(
        key,
        SvcParamKey::EchConfigList | SvcParamKey::Ipv4Hint | SvcParamKey::Ipv6Hint
    )
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::Name;
    use hickory_proto::rr::rdata::svcb::{Alpn, EchConfigList, IpHint, Mandatory};
    use hickory_proto::rr::rdata::{A, AAAA, HTTPS};

    use super::*;

    fn parameter(key: SvcParamKey) -> (SvcParamKey, SvcParamValue) {
        let value = match key {
            SvcParamKey::Alpn => SvcParamValue::Alpn(Alpn(vec!["h2".to_owned()])),
            SvcParamKey::Port => SvcParamValue::Port(8443),
            SvcParamKey::EchConfigList => SvcParamValue::EchConfigList(EchConfigList(vec![0, 1])),
            SvcParamKey::Ipv4Hint => SvcParamValue::Ipv4Hint(IpHint(vec![A::new(192, 0, 2, 1)])),
            SvcParamKey::Ipv6Hint => {
                SvcParamValue::Ipv6Hint(IpHint(vec![AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)]))
            }
            other => panic!("no value for {other}"),
        };
        (key, value)
    }

    fn record(mandatory: &[SvcParamKey], keys: &[SvcParamKey], https: bool) -> Record {
        let list = SvcParamValue::Mandatory(Mandatory(mandatory.to_vec()));
        let first = (!mandatory.is_empty()).then_some((SvcParamKey::Mandatory, list));
        let parameters = first.into_iter().chain(keys.iter().copied().map(parameter));
        let svcb = SVCB::new(1, Name::root(), parameters.collect());
        let data = if https {
            RData::HTTPS(HTTPS(svcb))
        } else {
            RData::SVCB(svcb)
        };
        Record::from_rdata(Name::from_ascii("a.example.").unwrap(), 60, data)
    }

    #[test]
    fn keys_and_hints_are_taken_out() {
        use SvcParamKey::{Alpn, EchConfigList as Ech, Ipv4Hint as V4, Ipv6Hint as V6, Port};
        type Keys = &'static [SvcParamKey];
        let table: &[(Keys, Keys, Stripped, Keys, Keys)] = &[
            (&[], &[], Stripped::Same, &[], &[]),
            (&[], &[Alpn, Port], Stripped::Same, &[], &[Alpn, Port]),
            (&[Port], &[Port], Stripped::Same, &[Port], &[Port]),
            (&[], &[Alpn, Ech], Stripped::Changed, &[], &[Alpn]),
            (&[], &[Alpn, V4, Ech, V6], Stripped::Changed, &[], &[Alpn]),
            (&[], &[V6], Stripped::Changed, &[], &[]),
            (
                &[Port, V4],
                &[Port, V4],
                Stripped::Changed,
                &[Port],
                &[Port],
            ),
            (&[V4], &[Port, V4], Stripped::Changed, &[], &[Port]),
            (
                &[Ech],
                &[Alpn, Ech],
                Stripped::Useless,
                &[Ech],
                &[Alpn, Ech],
            ),
        ];
        for (row, (mandatory, keys, outcome, mandatory_after, keys_after)) in
            table.iter().enumerate()
        {
            for https in [true, false] {
                let mut changed = record(mandatory, keys, https);
                assert_eq!(strip(&mut changed), *outcome, "row {row}");
                assert_eq!(
                    changed,
                    record(mandatory_after, keys_after, https),
                    "row {row}"
                );
            }
        }
    }
}
