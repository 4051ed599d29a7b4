//! The WASM executor against well-behaved and hostile programs.

#![expect(missing_docs, reason = "a test binary has no documentation")]

mod support;

mod limits;
