//! Job specification, version 1: what is to be run, on what, within which limits.
//!
//! A spec is written as JSON ([`JobSpec`]), validated once into a [`ValidatedSpec`], and travels as canonical DAG-CBOR, whose
//! sha2-256 digest the [terms](crate::model::Terms) of a job name. Contracts may send JSON instead
//! ([`SpecCodec::Json`]). The reference for people is `docs/spec.md`.
//!
//! ```
//! # let json = lota_market::spec::EXAMPLE;
//! let spec = lota_market::spec::parse_json(json.as_bytes())?;
//! let bytes = spec.to_dag_cbor();
//! assert_eq!(lota_market::spec::parse_dag_cbor(&bytes)?, spec);
//! # Ok::<(), lota_market::spec::SpecProblems>(())
//! ```

mod canonical;
mod fields;
mod image;
mod job;
mod link;
mod node;
mod path;
mod problem;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod validated;

pub use image::{Image, ImageFault, ParseImageError};
pub use job::{Engine, Input, JobSpec, Limits};
pub use link::{Link, ParseLinkError};
pub use path::{GuestPath, PathFault};
pub use problem::{SpecProblem, SpecProblems};
pub use schema::json_schema;
pub use validated::{Mount, Source, ValidatedSpec};

use crate::model::SpecCodec;
use node::Node;

/// The version of the specification that this crate reads and writes.
pub const VERSION: u32 = 1;
/// The largest spec, in bytes of either encoding. Only specs of at most [`MAX_SPEC`](crate::model::MAX_SPEC) bytes travel in
/// an event; larger ones are fetched by their digest.
pub const MAX_BYTES: usize = 64 * 1024;
/// The most arguments.
pub const MAX_ARGS: usize = 1_024;
/// The most environment variables.
pub const MAX_ENV: usize = 1_024;
/// The most inputs.
pub const MAX_INPUTS: usize = 256;
/// The most labels.
pub const MAX_LABELS: usize = 64;
/// The longest name (of an environment variable, a label, an entry point), in bytes.
pub const MAX_NAME: usize = 256;
/// The longest URL of an input, in bytes.
pub const MAX_URL: usize = 2_048;
/// The longest label of a directory, in bytes.
pub const MAX_LABEL: usize = 64;
/// The longest path in the guest, in bytes.
pub const MAX_PATH: usize = 1_024;
/// The least memory a job can be given: one page of WASM, in bytes.
pub const MIN_MEMORY: u64 = 64 * 1024;
/// The most memory a job can be given, in bytes.
pub const MAX_MEMORY: u64 = 4 * 1024 * 1024 * 1024 * 1024;
/// The most memory a WASM job can be given: what a 32-bit module can address, in bytes.
pub const MAX_WASM_MEMORY: u64 = 4 * 1024 * 1024 * 1024;
/// Thousandths of a processor that a job has when the spec does not say.
pub const DEFAULT_CPU: u64 = 1_000;
/// Processes and threads that a job may have at a time when the spec does not say.
pub const DEFAULT_PIDS: u64 = 256;
/// The most thousandths of a processor that a job can be given.
pub const MAX_CPU: u64 = 1_024_000;
/// The most processes and threads.
pub const MAX_PIDS: u64 = 65_536;
/// The most graphics processors.
pub const MAX_GPUS: u64 = 64;
/// The most parts of an entry point.
pub const MAX_ENTRYPOINT: usize = 64;
/// The exported function that is run when the spec names none: the entry point of WASI commands.
pub const DEFAULT_ENTRY: &str = "_start";
/// Where the only input is mounted when the spec does not say; of several inputs, number n (from 0) is at `/inputs/<n>`.
pub const DEFAULT_INPUTS: &str = "/inputs";
/// The directory whose content is the job's output when the spec does not say.
pub const DEFAULT_OUTPUTS: &str = "/outputs";

/// A complete spec, as it stands in `docs/spec.md`.
pub const EXAMPLE: &str = include_str!("spec/example.json");

/// Reads a spec in the encoding that a job's terms name.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(codec: SpecCodec, bytes: &[u8]) -> Result<ValidatedSpec, SpecProblems> {
    match codec {
        SpecCodec::DagCbor => parse_dag_cbor(bytes),
        SpecCodec::Json => parse_json(bytes),
    }
}

/// Reads a spec from JSON text (RFC 8259) with CIDs as strings; what it leaves out has its default.
///
/// # Errors
/// Everything that is wrong with it, duplicate and unknown fields included.
pub fn parse_json(bytes: &[u8]) -> Result<ValidatedSpec, SpecProblems> {
    check_size(bytes)?;
    let node = serde_json::from_slice::<Node>(bytes).map_err(|error| {
        SpecProblems::of_document(format!("is not JSON: {error}"), "write a JSON object as in docs/spec.md")
    })?;
    read::read(&node, read::Form::Free)
}

/// Reads a spec from canonical DAG-CBOR (IPLD's DAG-CBOR specification, strictly): every field is there, but for those that
/// joined this version later and hold their default, CIDs are links, and encoding it again gives the same bytes.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_dag_cbor(bytes: &[u8]) -> Result<ValidatedSpec, SpecProblems> {
    check_size(bytes)?;
    let node = serde_ipld_dagcbor::from_slice::<ipld_core::ipld::Ipld>(bytes).map(Node::from).map_err(|error| {
        SpecProblems::of_document(
            format!("is not canonical DAG-CBOR: {error}"),
            "encode the spec with `ValidatedSpec::to_dag_cbor`",
        )
    })?;
    let spec = read::read(&node, read::Form::Canonical)?;
    if spec.to_dag_cbor() != bytes {
        return Err(SpecProblems::of_document(
            "is not canonical DAG-CBOR: encoding it again gives other bytes".to_owned(),
            "encode the spec with `ValidatedSpec::to_dag_cbor`",
        ));
    }
    Ok(spec)
}

fn check_size(bytes: &[u8]) -> Result<(), SpecProblems> {
    if bytes.len() > MAX_BYTES {
        return Err(SpecProblems::of_document(
            format!("has {} bytes; at most {MAX_BYTES} are allowed", bytes.len()),
            "put what is large into an input",
        ));
    }
    Ok(())
}
