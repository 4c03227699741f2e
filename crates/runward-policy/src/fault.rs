use crate::limits;
use crate::name::NameError;
use crate::pattern::PatternError;

/// What is wrong with one place of a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// An expression or variable of a CI system that nobody replaced by its value.
    #[error(
        "this expression was not replaced by its value: write the endpoints out, or pass the value where the CI system replaces it"
    )]
    Expression,
    /// `https://…`.
    #[error("an endpoint is `host[:port]`, not an address of a web page: remove the scheme")]
    Scheme,
    /// `host/path`.
    #[error("an endpoint has no path: what may be reached is decided by host and port")]
    Path,
    /// `user@host`.
    #[error("an endpoint has no user name before the host")]
    User,
    /// Nothing before the port.
    #[error("the host is missing before the port")]
    MissingHost,
    /// `host:`.
    #[error("the port is missing after `:`")]
    MissingPort,
    /// `host::443`, or an IPv6 address with a port but without brackets.
    #[error(
        "there is more than one `:` here: between host and port stands one, and an IPv6 address with a port stands in `[ ]`"
    )]
    Colons,
    /// A port that is no number.
    #[error("not a port: a port is a number from 1 to 65535, a range like `8000-8010`, or `*`")]
    Port,
    /// A number that no port has.
    #[error("no such port: ports go from 1 to 65535")]
    PortOutOfRange,
    /// `90-80`.
    #[error("the range of ports begins after its end")]
    PortsReversed,
    /// More ranges than an endpoint can have.
    #[error(
        "more than {} ports and ranges for one endpoint: use a range, or `*`",
        limits::PORT_RANGES
    )]
    TooManyPorts,
    /// A number by itself where an endpoint should be.
    #[error("a port without a host: write the ports of one host without spaces, `host:80,443`")]
    LonelyPort,
    /// `host:443/sctp`.
    #[error("not a transport: `/tcp`, `/udp`, or `/any` for both")]
    Transport,
    /// Something like an address that is none.
    #[error("not an IP address")]
    Address,
    /// `203.0.113.0/33`.
    #[error("not a prefix length: an IPv4 network has 0 to 32 bits, an IPv6 network 0 to 128")]
    PrefixLength,
    /// `[` without `]`.
    #[error("the `]` after the IPv6 address is missing")]
    Bracket,
    /// Not a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Not a pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// `@group` that does not exist.
    #[error("there is no group of this name: {}", .0.join(", "))]
    UnknownGroup(Vec<String>),
    /// An endpoint right behind a `#`, with more endpoints behind it on the same line.
    #[error(
        "a comment ends with its line, and here everything stands on one line, so nobody can tell whether this endpoint is meant; a folded scalar (`>`) does that: use `|`, or remove the comment"
    )]
    CommentedOut,
    /// Not `audit` or `block`.
    #[error("not an egress policy: `audit` or `block`")]
    Mode,
    /// The file is not YAML.
    #[error("not YAML: {0}")]
    Yaml(String),
    /// An endpoint that YAML takes for something else.
    #[error("`*`, `@` and `[` begin something else in YAML: put the endpoint in quotes")]
    Unquoted,
    /// `host: port`.
    #[error("YAML takes this for a map, because of the space behind `:`")]
    SpaceInEndpoint,
    /// A key that a policy does not have.
    #[error("a policy has no such key; it has {0}")]
    UnknownKey(&'static str),
    /// An option of the command line, written into a policy.
    #[error("this is an option of `runward run` and of the agent, not a part of a policy")]
    OptionInPolicy,
    /// A key twice in one map.
    #[error("this key is there twice: join the two")]
    DuplicateKey,
    /// Another kind of value than the key has.
    #[error("{0} is expected here")]
    Expected(&'static str),
    /// A map of an endpoint without `endpoint`.
    #[error("the `endpoint` of this entry is missing")]
    MissingEndpoint,
    /// More than one endpoint where one stands.
    #[error("one endpoint is expected here: give each its own entry")]
    OneEndpoint,
    /// An anchor, alias, tag or merge key.
    #[error("{0} is not allowed in a policy: what is allowed must be readable where it stands")]
    YamlFeature(&'static str),
    /// Nested deeper than any policy is.
    #[error("nested deeper than a policy can be")]
    TooDeep,
    /// A narrowing or reason that is empty, too long, or holds a control character.
    #[error(
        "a value must have 1 to {} bytes and no control characters",
        limits::VALUE_BYTES
    )]
    Value,
    /// Too many values in a narrowing.
    #[error("more than {} values in one list", limits::NARROWING_VALUES)]
    TooManyValues,
    /// Too many narrowings in all sources together.
    #[error(
        "more than {} different narrowings in one policy: use patterns with `*`",
        limits::NARROWINGS
    )]
    TooManyNarrowings,
    /// Too much text.
    #[error("larger than the {} bytes that a policy can have", limits::TEXT_BYTES)]
    TooLong,
    /// Too many endpoints.
    #[error(
        "more than {} endpoints: use patterns with `*` or networks",
        limits::RULES_OF_SOURCE
    )]
    TooManyRules,
    /// There are more errors than are told.
    #[error("and {0} more errors")]
    More(usize),
}

impl Fault {
    /// The kind in one word, for programs. It does not change when the sentence does.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Expression => "expression",
            Fault::Scheme => "scheme",
            Fault::Path => "path",
            Fault::User => "user",
            Fault::MissingHost => "missing-host",
            Fault::MissingPort => "missing-port",
            Fault::Colons => "colons",
            Fault::Port => "port",
            Fault::PortOutOfRange => "port-out-of-range",
            Fault::PortsReversed => "ports-reversed",
            Fault::TooManyPorts => "too-many-ports",
            Fault::LonelyPort => "lonely-port",
            Fault::Transport => "transport",
            Fault::Address => "address",
            Fault::PrefixLength => "prefix-length",
            Fault::Bracket => "bracket",
            Fault::Name(_) => "name",
            Fault::Pattern(_) => "pattern",
            Fault::UnknownGroup(_) => "unknown-group",
            Fault::CommentedOut => "commented-out",
            Fault::Mode => "egress-policy",
            Fault::Yaml(_) => "yaml",
            Fault::Unquoted => "unquoted",
            Fault::SpaceInEndpoint => "space-in-endpoint",
            Fault::UnknownKey(_) => "unknown-key",
            Fault::OptionInPolicy => "option-in-policy",
            Fault::DuplicateKey => "duplicate-key",
            Fault::Expected(_) => "expected",
            Fault::MissingEndpoint => "missing-endpoint",
            Fault::OneEndpoint => "one-endpoint",
            Fault::YamlFeature(_) => "yaml-feature",
            Fault::TooDeep => "too-deep",
            Fault::Value => "value",
            Fault::TooManyValues => "too-many-values",
            Fault::TooManyNarrowings => "too-many-narrowings",
            Fault::TooLong => "too-long",
            Fault::TooManyRules => "too-many-rules",
            Fault::More(_) => "more",
        }
    }
}

/// What is odd about one place of a policy that can be applied as it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Doubt {
    /// A port that is one slip away from a usual one.
    #[error("an unusual port")]
    UnusualPort,
    /// A word by itself, which is a name without dots.
    #[error("a name without a dot: a stray word?")]
    SingleLabel,
    /// `*` as host.
    #[error("this allows every host there is on these ports")]
    EveryHost,
    /// A network with bits behind its prefix.
    #[error("the address lies inside of the network; the network itself is taken")]
    HostBits,
    /// Text behind a `#` on a line that goes on with endpoints.
    #[error(
        "this comment swallowed the line that it stood on, as in a folded scalar (`>`): the endpoints behind it are taken; use `|`"
    )]
    SwallowedComment,
    /// The same endpoint again.
    #[error("this endpoint is there twice")]
    Duplicate,
    /// A pattern below a domain where everybody can have a name.
    #[error("names below this domain belong to many owners, so this allows hosts of strangers")]
    SharedDomain,
}

impl Doubt {
    /// The kind in one word, for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Doubt::UnusualPort => "unusual-port",
            Doubt::SingleLabel => "single-label",
            Doubt::EveryHost => "every-host",
            Doubt::HostBits => "host-bits",
            Doubt::SwallowedComment => "swallowed-comment",
            Doubt::Duplicate => "duplicate",
            Doubt::SharedDomain => "shared-domain",
        }
    }
}
