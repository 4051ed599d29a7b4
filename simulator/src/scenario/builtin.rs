//! The scenarios that come with the program.

/// A scenario that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    pub name: &'static str,
    pub text: &'static str,
}

macro_rules! builtins {
    ($($name:literal),* $(,)?) => {
        &[$(Builtin { name: $name, text: include_str!(concat!("../../scenarios/", $name, ".toml")) }),*]
    };
}

const ALL: &[Builtin] = builtins![
    "first-market",
    "second-price",
    "first-price",
    "waiting",
    "misreport",
    "shill",
    "audits",
    "latency",
    "ramp",
    "bids",
    "failures",
    "sybils",
    "replicas",
    "cheats",
    "copies",
    "wallets-2022-client",
    "wallets-2022-provider",
];

/// All of them, by name.
#[must_use]
pub const fn builtins() -> &'static [Builtin] {
    ALL
}

/// One by its name.
#[must_use]
pub fn builtin(name: &str) -> Option<Builtin> {
    ALL.iter().find(|scenario| scenario.name == name).copied()
}
