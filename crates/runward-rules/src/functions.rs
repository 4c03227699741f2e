//! The functions of expressions. Only these are there: what CEL's library has beside them is of no use here, and would
//! have to be bounded too.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use cel::common::types::{CelBool, CelInt, CelString, INT_TYPE, LIST_TYPE, MAP_TYPE, STRING_TYPE};
use cel::common::value::CowVal;
use cel::{DeclarationError, Env, ExecutionError};

use crate::slots::{NETWORK, Network, PATTERN, Pattern};

/// What a function takes and gives, for the check of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    /// `a.startsWith(b)` and its kin: of a text, about a text.
    OfTexts,
    /// `a.matches("…")`: the pattern is a constant.
    Matches,
    /// `a.inNetwork("…")`: the network is a constant.
    InNetwork,
    /// `size(a)`, `a.size()`.
    Size,
    /// `a.lowerAscii()`.
    Lower,
    /// `string(a)`.
    ToText,
    /// `int(a)`.
    ToInt,
}

/// The functions by name. Those that take a text are called on it: `a.contains(b)`.
pub(crate) const FUNCTIONS: [(&str, Function); 9] = [
    ("contains", Function::OfTexts),
    ("endsWith", Function::OfTexts),
    ("startsWith", Function::OfTexts),
    ("matches", Function::Matches),
    ("inNetwork", Function::InNetwork),
    ("lowerAscii", Function::Lower),
    ("size", Function::Size),
    ("string", Function::ToText),
    ("int", Function::ToInt),
];

/// What the macros of CEL are called.
pub(crate) const MACROS: [&str; 7] = [
    "has",
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "filter",
    "map",
];

/// The functions as the library runs them, the same for every file.
pub(crate) fn environment() -> Arc<Env> {
    static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
        let mut env = Env::default().with_optional_support(false);
        // Fails only where two have one name, and then the tests of each function do.
        let declared = declare(&mut env);
        debug_assert_eq!(declared, Ok(()));
        Arc::new(env)
    });
    Arc::clone(&ENVIRONMENT)
}

fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    let text = || STRING_TYPE;
    for (name, run) in [
        ("contains", contains as cel::common::functions::Function),
        ("endsWith", ends_with),
        ("startsWith", starts_with),
    ] {
        env.add_member_overload(name, name, text(), vec![text()], run)?;
    }
    env.add_member_overload("matches", "matches", text(), vec![PATTERN], matches)?;
    env.add_member_overload("inNetwork", "inNetwork", text(), vec![NETWORK], in_network)?;
    env.add_member_overload("lowerAscii", "lowerAscii", text(), Vec::new(), lower)?;
    let list = size_of_list as cel::common::functions::Function;
    env.add_overload("size", "text", vec![STRING_TYPE], size_of_text)?;
    env.add_overload("size", "list", vec![LIST_TYPE], list)?;
    env.add_overload("size", "map", vec![MAP_TYPE], list)?;
    env.add_member_overload("size", "of_text", STRING_TYPE, Vec::new(), size_of_text)?;
    env.add_member_overload("size", "of_list", LIST_TYPE, Vec::new(), list)?;
    env.add_member_overload("size", "of_map", MAP_TYPE, Vec::new(), list)?;
    env.add_overload("string", "of_int", vec![INT_TYPE], text_of_int)?;
    env.add_overload("string", "of_text", vec![STRING_TYPE], same)?;
    env.add_overload("int", "of_text", vec![STRING_TYPE], int_of_text)?;
    env.add_overload("int", "of_int", vec![INT_TYPE], same)?;
    Ok(())
}

type Args<'b, 'v> = Vec<CowVal<'b, 'v>>;
type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

fn text<'a>(args: &'a Args<'_, '_>, place: usize) -> Result<&'a str, ExecutionError> {
    args.get(place)
        .and_then(|arg| arg.downcast_ref::<CelString>())
        .map(CelString::inner)
        .ok_or(ExecutionError::MissingArgumentOrTarget)
}

fn answer<'b, 'v>(is_so: bool) -> Answer<'b, 'v> {
    Ok(CowVal::owned(CelBool::from(is_so)))
}

fn contains<'b, 'v>(args: Args<'b, 'v>) -> Answer<'b, 'v> {
    answer(text(&args, 0)?.contains(text(&args, 1)?))
}

fn ends_with<'b, 'v>(args: Args<'b, 'v>) -> Answer<'b, 'v> {
    answer(text(&args, 0)?.ends_with(text(&args, 1)?))
}

fn starts_with<'b, 'v>(args: Args<'b, 'v>) -> Answer<'b, 'v> {
    answer(text(&args, 0)?.starts_with(text(&args, 1)?))
}

fn matches<'b, 'v>(args: Args<'b, 'v>) -> Answer<'b, 'v> {
    let pattern = args.get(1).and_then(|arg| arg.downcast_ref::<Pattern>());
    let pattern = pattern.ok_or(ExecutionError::MissingArgumentOrTarget)?;
    answer(pattern.is_in(text(&args, 0)?))
}

/// What is no address is in no network.
fn in_network<'b, 'v>(args: Args<'b, 'v>) -> Answer<'b, 'v> {
    let network = args.get(1).and_then(|arg| arg.downcast_ref::<Network>());
    let Network(network) = network.ok_or(ExecutionError::MissingArgumentOrTarget)?;
    let address: Result<IpAddr, _> = text(&args, 0)?.parse();
    answer(address.is_ok_and(|address| network.contains(&address)))
}

fn lower<'b, 'v>(args: Args<'b, 'v>) -> Answer<'b, 'v> {
    Ok(CowVal::owned(CelString::from(
        text(&args, 0)?.to_ascii_lowercase(),
    )))
}

fn size_of_text<'b, 'v>(args: Args<'b, 'v>) -> Answer<'b, 'v> {
    let characters = text(&args, 0)?.chars().count();
    Ok(CowVal::owned(CelInt::from(
        i64::try_from(characters).unwrap_or(i64::MAX),
    )))
}

fn size_of_list<'b, 'v>(args: Args<'b, 'v>) -> Answer<'b, 'v> {
    let sizer = args.first().and_then(|arg| arg.as_sizer());
    let sizer = sizer.ok_or(ExecutionError::MissingArgumentOrTarget)?;
    Ok(CowVal::owned(sizer.size()))
}

fn text_of_int<'b, 'v>(args: Args<'b, 'v>) -> Answer<'b, 'v> {
    let number = args.first().and_then(|arg| arg.downcast_ref::<CelInt>());
    let number = number.ok_or(ExecutionError::MissingArgumentOrTarget)?;
    Ok(CowVal::owned(CelString::from(number.inner().to_string())))
}

fn int_of_text<'b, 'v>(args: Args<'b, 'v>) -> Answer<'b, 'v> {
    let number: i64 = text(&args, 0)?
        .parse()
        .map_err(|_| ExecutionError::function_error("int", "the text is no whole number"))?;
    Ok(CowVal::owned(CelInt::from(number)))
}

fn same<'b, 'v>(args: Args<'b, 'v>) -> Answer<'b, 'v> {
    args.into_iter()
        .next()
        .ok_or(ExecutionError::MissingArgumentOrTarget)
}
