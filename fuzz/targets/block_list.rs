//! Block lists, as feeds carry them: what is read blocks what it says of itself, and can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runward_policy::BlockList;

fuzz_target!(|text: &str| {
    let mut list = BlockList::default();
    if let Err(errors) = list.add("feed", text) {
        assert!(!errors.is_empty() && list.is_empty() && list.lists().is_empty());
        for error in errors {
            assert!(!error.to_string().contains(['\n', '\x1b']));
        }
        return;
    }
    let mut written = String::new();
    for (name, below) in list.names() {
        let (inside, entry) = match below {
            true => (format!("x.{name}"), format!("*.{name}")),
            false => (name.to_owned(), name.to_owned()),
        };
        let told = list.name(&inside.to_ascii_uppercase());
        assert!(told.is_some_and(|told| below || told.entry == entry));
        written += &format!("{entry} reason\n");
    }
    for net in list.nets() {
        assert!(list.address(net.addr()).is_some());
        written += &format!("{net}\n");
    }
    let mut again = BlockList::default();
    assert_eq!(again.add("again", &written), Ok(()));
    assert_eq!(again.len(), list.len());
});
