use super::*;

fn list(text: &str) -> BlockList {
    let mut list = BlockList::default();
    list.add("feed", text).unwrap();
    list
}

fn errors(text: &str) -> Vec<String> {
    let mut list = BlockList::default();
    let errors = list.add("feed", text).unwrap_err();
    assert!(list.is_empty() && list.lists().is_empty());
    errors.iter().map(ToString::to_string).collect()
}

/// What the entries of a text are, without their reasons.
fn entries(text: &str) -> Vec<String> {
    let list = list(text);
    let names = list.names().map(|(name, below)| match below {
        true => format!("*.{name}"),
        false => name.to_owned(),
    });
    let mut all: Vec<_> = names.chain(list.nets().map(shown)).collect();
    all.sort();
    all
}

#[test]
fn every_form_of_a_feed_is_read() {
    for (text, meant) in [
        ("evil.example", &["evil.example"][..]),
        ("EVIL.example. # taken over", &["evil.example"]),
        ("*.evil.example\ttaken over", &["*.evil.example"]),
        ("evil[.]example", &["evil.example"]),
        ("evil(dot)example", &["evil.example"]),
        ("hxxp://evil[.]example", &["evil.example"]),
        ("hxxps[://]evil.example/", &["evil.example"]),
        ("192[.]0[.]2[.]7", &["192.0.2.7"]),
        ("::ffff:192.0.2.7", &["192.0.2.7"]),
        ("http://[2001:db8::1]/", &["2001:db8::1"]),
        ("192.0.2.0/24 ; SBL1", &["192.0.2.0/24"]),
        ("2001:db8::/32", &["2001:db8::/32"]),
        ("0.0.0.0 evil.example", &["evil.example"]),
        (
            "127.0.0.1\tevil.example other.example # both",
            &["evil.example", "other.example"],
        ),
        ("127.0.0.1 localhost\n::1 localhost ip6-loopback", &[]),
        ("255.255.255.255 broadcasthost\nfe80::1%lo0 localhost", &[]),
        ("# a comment\n\n; another\n  \n", &[]),
        ("\u{feff}evil.example\r\n", &["evil.example"]),
        ("b\u{fc}cher.example", &["xn--bcher-kva.example"]),
        ("evil.example\nEvil.Example", &["evil.example"]),
    ] {
        assert_eq!(entries(text), meant, "{text}");
    }
}

#[test]
fn every_wrong_line_is_told_with_its_place() {
    let told = errors(
        "ok.example\nevil.example:8080\nhttps://evil.example/a/b\n*\na.*.example\ndomain\n192.0.2.1/24\n\
         0.0.0.0/0\n127.0.0.1\n192.0.2.0/33\nevil.example/x\nname,reason\n0.0.0.0 domain\nsmb://evil.example\n\
         1.2.3\nhttp://evil.example@ok.example\n* everything\n",
    );
    insta::assert_snapshot!(told.join("\n"), @r"
    feed:2: `evil.example:8080`: a block list blocks every port of a host: remove the port
    feed:3: `https://evil.example/a/b`: a block list blocks whole hosts, and this is one page of a host: write the host alone if nothing of it is needed
    feed:4: `*`: `*` can only stand for everything below a name: write `*.example.com`
    feed:5: `a.*.example`: `*` can only stand for everything below a name: write `*.example.com`
    feed:6: `domain`: a name of one part is no host of the internet: write the whole name
    feed:7: `192.0.2.1/24`: the address has bits behind its prefix: did you mean `192.0.2.0/24`?
    feed:8: `0.0.0.0/0`: the network is too large to be meant: at least 8 bits of prefix for IPv4, 16 for IPv6
    feed:9: `127.0.0.1`: the address stands for this machine or for no single host
    feed:10: `192.0.2.0/33`: not a network: the prefix has at most 32 bits for IPv4 and 128 for IPv6
    feed:11: `evil.example/x`: a block list blocks whole hosts, and this is one page of a host: write the host alone if nothing of it is needed
    feed:12: `name,reason`: `,` can't be in a name
    feed:13: `domain`: a name of one part is no host of the internet: write the whole name
    feed:14: `smb://evil.example`: not a scheme that a list can have: write the host alone
    feed:15: `1.2.3`: neither a name (the last part is a number) nor an IPv4 address
    feed:16: `http://evil.example@ok.example`: a block list blocks whole hosts, and this is one page of a host: write the host alone if nothing of it is needed
    feed:17: `*`: `*` can only stand for everything below a name: write `*.example.com`
    ");
}

#[test]
fn a_list_with_an_error_changes_nothing() {
    let mut list = list("evil.example");
    assert!(list.add("other", "other.example\n*").is_err());
    assert_eq!(list.len(), 1);
    assert_eq!(list.name("other.example"), None);
}

#[test]
fn an_answer_names_the_entry_its_line_and_its_reason() {
    let mut list = list(
        "# feed\nevil.example # took secrets\n*.evil.example\n192.0.2.0/24 a net\n192.0.2.7\n",
    );
    list.add("second", "evil.example another reason\n*.b.example\n")
        .unwrap();
    let name = |name: &str| {
        list.name(name)
            .map(|entry| (entry.entry, entry.source, entry.reason.unwrap_or_default()))
    };
    let told = |entry: &str, source: &str, reason: &str| {
        Some((entry.to_owned(), source.to_owned(), reason.to_owned()))
    };
    assert_eq!(
        name("EVIL.example."),
        told("evil.example", "feed:2", "took secrets")
    );
    assert_eq!(
        name("a.b.evil.example"),
        told("*.evil.example", "feed:3", "")
    );
    assert_eq!(name("notevil.example"), None);
    assert_eq!(name("b.example"), None);
    assert_eq!(name(""), None);
    let ip = |ip: &str| {
        list.address(ip.parse().unwrap())
            .map(|entry| (entry.entry, entry.source, entry.reason.unwrap_or_default()))
    };
    assert_eq!(ip("192.0.2.7"), told("192.0.2.7", "feed:5", ""));
    assert_eq!(
        ip("::ffff:192.0.2.8"),
        told("192.0.2.0/24", "feed:4", "a net")
    );
    assert_eq!(ip("192.0.3.1"), None);
    assert_eq!(ip("2001:db8::1"), None);
    assert_eq!(list.len(), 5);
}

#[test]
fn bounds_are_errors_and_not_cuts() {
    let many: String = (0..=limits::BLOCK_LIST_ENTRIES)
        .map(|n| format!("h{n}.example\n"))
        .collect();
    assert!(
        errors(&many)
            .last()
            .unwrap()
            .contains("more than 250000 entries")
    );
    let long = format!("evil.example {}", "x".repeat(limits::BLOCK_LIST_LINE_BYTES));
    assert!(errors(&long)[0].contains("longer than a line"));
    assert!(errors(&"\n".repeat(limits::BLOCK_LIST_BYTES + 1))[0].contains("16 MiB"));
    let wrong = errors(&"*\n".repeat(5_000));
    assert_eq!(wrong.len(), limits::ERRORS + 1);
    assert_eq!(wrong.last().unwrap(), "feed: and 4900 more errors");
}

#[test]
fn hostile_text_is_told_on_one_harmless_line() {
    let told = errors("evil\u{1b}]0;x\u{7}.example\n");
    assert!(!told[0].contains(char::is_control), "{told:?}");
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_a_list_or_errors_with_places(text in "(?s).{0,400}") {
            let mut list = BlockList::default();
            if let Err(errors) = list.add("feed", &text) {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(!error.to_string().contains(char::is_control));
                }
                prop_assert!(list.is_empty());
            }
        }

        #[test]
        fn what_a_list_tells_of_itself_is_what_it_blocks(
            lines in proptest::collection::vec(
                prop_oneof![
                    "[a-c]{1,2}\\.[a-c]{1,2}",
                    "\\*\\.[a-c]{1,2}\\.[a-c]",
                    "10\\.[0-3]\\.0\\.0/16",
                    "10\\.[0-3]\\.0\\.[1-3]",
                    "0\\.0\\.0\\.0 [a-c]\\.[a-c]",
                ],
                0..20,
            ),
        ) {
            let list = list(&lines.join("\n"));
            for (name, below) in list.names() {
                prop_assert_eq!(list.name(name).is_some_and(|entry| entry.entry == name), !below || list.names().any(|other| other == (name, false)));
                let inside = format!("x.{name}");
                prop_assert!(!below || list.name(&inside).is_some());
            }
            for net in list.nets() {
                prop_assert!(list.address(net.addr()).is_some());
            }
            let again: String = list
                .names()
                .map(|(name, below)| format!("{}{name}\n", if below { "*." } else { "" }))
                .chain(list.nets().map(|net| format!("{net}\n")))
                .collect();
            let again = super::list(&again);
            prop_assert_eq!(again.len(), list.len());
        }
    }
}
