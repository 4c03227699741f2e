//! The flags of `bpf/abi.h`. Preprocessor constants leave no trace in type information, so these are repeated; a test
//! compares them with the header.

pub(crate) const CUT_ARGS: u16 = 1 << 0;
pub(crate) const CUT_EXE: u16 = 1 << 1;
pub(crate) const CUT_PATH: u16 = 1 << 2;
pub(crate) const CUT_CWD: u16 = 1 << 3;
pub(crate) const CUT_CGROUP: u16 = 1 << 4;
pub(crate) const CUT_ENV: u16 = 1 << 5;
pub(crate) const CONNECT_FLOW: u16 = 1 << 0;
pub(crate) const CONNECT_BLOCKED: u16 = 1 << 1;
pub(crate) const CLOSE_OPAQUE: u16 = 1 << 0;
pub(crate) const MEMORY_PREVENTED: u16 = 1 << 0;
pub(crate) const MEMORY_KILLED: u16 = 1 << 1;
pub(crate) const DNS_INGRESS: u16 = 1 << 0;
pub(crate) const DNS_TCP: u16 = 1 << 1;
pub(crate) const DNS_CUT: u16 = 1 << 2;

#[cfg(test)]
mod tests {
    #[test]
    fn flags_are_those_of_the_header() {
        let header = include_str!("../bpf/abi.h");
        let table = [
            ("CUT_ARGS", super::CUT_ARGS),
            ("CUT_EXE", super::CUT_EXE),
            ("CUT_PATH", super::CUT_PATH),
            ("CUT_CWD", super::CUT_CWD),
            ("CUT_CGROUP", super::CUT_CGROUP),
            ("CUT_ENV", super::CUT_ENV),
            ("CONNECT_FLOW", super::CONNECT_FLOW),
            ("CONNECT_BLOCKED", super::CONNECT_BLOCKED),
            ("CLOSE_OPAQUE", super::CLOSE_OPAQUE),
            ("MEMORY_PREVENTED", super::MEMORY_PREVENTED),
            ("MEMORY_KILLED", super::MEMORY_KILLED),
            ("DNS_INGRESS", super::DNS_INGRESS),
            ("DNS_TCP", super::DNS_TCP),
            ("DNS_CUT", super::DNS_CUT),
        ];
        for (name, value) in table {
            let line = format!("#define RW_{name} (1 << {})", value.trailing_zeros());
            assert!(header.contains(&line), "abi.h has no line `{line}`");
        }
    }
}
