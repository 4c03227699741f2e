//! Everything that reads messages, in one function without sockets, for fuzzing.

use std::net::IpAddr;

use hickory_proto::op::Message;

use crate::accept::{Inquiry, Verdict};
use crate::answer::Answer;
use crate::question;

/// Reads a client's message and an upstream's answer to it, and writes what would leave.
///
/// The upstream's message is given the id and the question that it needs to be looked at. Says whether an answer would
/// leave, and on an error what is wrong with it: that is a mistake in this crate.
#[doc(hidden)]
pub fn exercise(client: &[u8], upstream: &[u8]) -> Result<bool, String> {
    let Ok(asked) = question::read(client) else {
        return Ok(false);
    };
    let inquiry = Inquiry {
        name: asked.name.to_lowercase(),
        kind: asked.kind,
        dnssec: asked.dnssec(),
        checking_disabled: asked.head.checking_disabled,
    };
    let (counts, records) = upstream.split_at_checked(3).unwrap_or((&[0; 3], &[]));
    let mut reply = vec![0, 7, 0x80, 0, 0, 1];
    for count in counts {
        reply.extend_from_slice(&[0, *count]);
    }
    reply.extend_from_slice(asked.section);
    reply.extend_from_slice(records);
    let Verdict::Answer(reply) = inquiry.judge(7, &reply) else {
        return Ok(false);
    };
    let Some((answer, _)) = Answer::new(&inquiry, reply) else {
        return Ok(false);
    };
    let first = answer.addresses(0).first().map(|bound| bound.ip);
    let rest = answer
        .only(first.as_slice())
        .ok_or("an answer can't be read again")?;
    for answer in [&answer, &rest] {
        let mut out = Vec::new();
        answer.write(
            &mut out,
            &asked.head,
            asked.section,
            1,
            asked.head.room(),
            None,
        );
        if out.len() > asked.head.room() {
            return Err(format!("{} bytes do not fit", out.len()));
        }
        answer.write(&mut out, &asked.head, asked.section, 1, usize::MAX, None);
        check(&inquiry, answer, &out)?;
    }
    Ok(true)
}

/// Whether what leaves is about the question, and has only addresses that are bound.
fn check(inquiry: &Inquiry, answer: &Answer, out: &[u8]) -> Result<(), String> {
    // The library refuses a whole message for data that passes here as bytes. That is no mistake.
    let Ok(message) = Message::from_vec(out) else {
        return Ok(());
    };
    if message.queries.first().map(|query| query.name()) != Some(&inquiry.name) {
        return Err("the question is another one".to_owned());
    }
    let bound: Vec<IpAddr> = answer.addresses(0).iter().map(|bound| bound.ip).collect();
    let leave = message
        .answers
        .iter()
        .filter_map(|record| record.data.ip_addr());
    if leave.collect::<Vec<_>>() != bound {
        return Err("addresses leave that are not bound, or the other way round".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLIENT: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01A\x07example\0\0\x01\0\x01";

    /// An alias, and the address at its end.
    const UPSTREAM: &[u8] = b"\x02\0\0\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01b\xc0\x0e\
        \xc0\x27\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";

    #[test]
    fn a_good_answer_leaves() {
        assert_eq!(exercise(CLIENT, UPSTREAM), Ok(true));
    }

    fn changed(bytes: &[u8], changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = *byte;
        }
        bytes
    }

    fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5)
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(client: Vec<u8>, upstream: Vec<u8>) {
            prop_assert!(exercise(&client, &upstream).is_ok());
            prop_assert!(exercise(CLIENT, &upstream).is_ok());
        }

        #[test]
        fn mutated_messages_are_survived(client in changes(), upstream in changes()) {
            let told = exercise(&changed(CLIENT, &client), &changed(UPSTREAM, &upstream));
            prop_assert!(told.is_ok(), "{:?}", told);
        }
    }
}
