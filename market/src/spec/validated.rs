//! A spec that is known to be good.

use std::collections::BTreeMap;

use cid::Cid;
use serde::Serialize;

use super::{Engine, GuestPath, Input, JobSpec, Limits, Link};

/// A job specification in which nothing is missing and nothing is wrong. Only validation makes one; nothing checks it
/// again. Serialises like [`JobSpec`], with every field there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ValidatedSpec {
    pub(super) version: u32,
    pub(super) engine: Engine,
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) inputs: Vec<Mount>,
    pub(super) outputs: GuestPath,
    pub(super) limits: Limits,
    pub(super) labels: BTreeMap<String, String>,
}

/// Content at a path in the guest.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Mount {
    /// A file or directory.
    pub cid: Link,
    /// Where it is mounted, read-only.
    pub path: GuestPath,
}

impl ValidatedSpec {
    /// What runs the job, and what it runs.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The program's arguments, without its own name; none contains a NUL.
    #[must_use]
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// The program's environment variables; no name is empty or contains `=`, nothing contains a NUL.
    #[must_use]
    pub const fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// What is mounted; no path lies within another or within [`ValidatedSpec::outputs`], or the other way round.
    #[must_use]
    pub fn inputs(&self) -> &[Mount] {
        &self.inputs
    }

    /// The directory whose content is the job's output.
    #[must_use]
    pub const fn outputs(&self) -> &GuestPath {
        &self.outputs
    }

    /// What the job may use up.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whatever the client wants to find its jobs by.
    #[must_use]
    pub const fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// All content that the job needs: what it runs, then its inputs in order.
    pub fn cids(&self) -> impl Iterator<Item = Cid> + '_ {
        let Engine::Wasm { module, .. } = &self.engine;
        core::iter::once(module.0).chain(self.inputs.iter().map(|mount| mount.cid.0))
    }

    /// The canonical encoding, whose sha2-256 digest names the spec: DAG-CBOR with every field there and CIDs as links.
    #[must_use]
    #[expect(clippy::expect_used, reason = "strings, lists, maps with string keys and CIDs are all DAG-CBOR")]
    pub fn to_dag_cbor(&self) -> Vec<u8> {
        serde_ipld_dagcbor::to_vec(self).expect("a spec has a DAG-CBOR form")
    }

    /// The spec as JSON text for people.
    #[must_use]
    #[expect(clippy::expect_used, reason = "maps have string keys and numbers are integers")]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a spec has a JSON form")
    }
}

impl From<ValidatedSpec> for JobSpec {
    fn from(spec: ValidatedSpec) -> Self {
        let ValidatedSpec { version, engine, args, env, inputs, outputs, limits, labels } = spec;
        let input = |Mount { cid, path }: Mount| Input { cid, path: Some(path.as_str().to_owned()) };
        let (inputs, outputs) = (inputs.into_iter().map(input).collect(), outputs.as_str().to_owned());
        Self { version, engine, args, env, inputs, outputs, limits, labels }
    }
}

impl TryFrom<JobSpec> for ValidatedSpec {
    type Error = super::SpecProblems;

    fn try_from(spec: JobSpec) -> Result<Self, Self::Error> {
        spec.validate()
    }
}
