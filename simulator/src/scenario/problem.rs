//! What is wrong with a scenario, in one line.

/// Why a scenario cannot be simulated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// The text is no TOML, or has keys or values that no scenario has.
    #[error("{file}:{line}: {message}")]
    Form { file: String, line: usize, message: String },
    /// A value is impossible.
    #[error("{place}: `{key}`: {problem}")]
    Value {
        /// The file and line, or the flag that set the value.
        place: String,
        /// Where the value is, such as `providers.honest.cost`.
        key: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// A flag cannot be understood.
    #[error("{0}")]
    Flag(String),
}
