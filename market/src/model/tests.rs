//! Tests of the protocol as a whole.

mod script;
mod transitions;
