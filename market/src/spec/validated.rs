//! A spec that is known to be good.

use std::collections::BTreeMap;

use cid::Cid;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Engine, GuestPath, Image, JobSpec, Limits, Link, canonical::canonical, fields::SPEC};

/// A job specification in which nothing is missing and nothing is wrong. Only validation makes one; nothing checks it
/// again. Serialises like [`JobSpec`], with every field there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ValidatedSpec {
    /// With every field there and CIDs of version 1.
    plain: JobSpec,
    inputs: Vec<Mount>,
    outputs: GuestPath,
}

/// Where an input comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A file or directory, from whoever has it.
    Content(Link),
    /// A file at a URL.
    Url {
        /// An `http` or `https` URL without credentials and fragment.
        url: String,
        /// Codec `raw`: its digest is the sha2-256 of all bytes of the file, however many.
        cid: Link,
    },
    /// What is in a directory on the provider's machine that its operator gave this label.
    Directory(String),
}

/// Content at a path in the guest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mount {
    /// Where it comes from.
    pub source: Source,
    /// Where it is mounted, read-only.
    pub path: GuestPath,
}

impl ValidatedSpec {
    /// From a document that was read without problems.
    #[expect(clippy::expect_used, reason = "the reader has checked the fields, which tests compare with the struct's")]
    pub(super) fn new(document: Map<String, Value>) -> Self {
        let plain: JobSpec = serde_json::from_value(document.into()).expect("every field is there and of its type");
        let path = |text: &str| GuestPath::new(text).expect("a path in the guest");
        let mount = |input: &super::Input| Mount {
            source: match (input.cid, &input.url, &input.directory) {
                (_, _, Some(label)) => Source::Directory(label.clone()),
                (Some(cid), Some(url), None) => Source::Url { url: url.clone(), cid },
                (cid, _, None) => Source::Content(cid.expect("what is no directory has a CID")),
            },
            path: path(input.path.as_deref().expect("the default was filled in")),
        };
        Self { inputs: plain.inputs.iter().map(mount).collect(), outputs: path(&plain.outputs), plain }
    }

    /// What runs the job, and what it runs.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.plain.engine
    }

    /// The program's arguments, without its own name; none contains a NUL.
    #[must_use]
    pub fn args(&self) -> &[String] {
        &self.plain.args
    }

    /// The program's environment variables; no name is empty or contains `=`, nothing contains a NUL.
    #[must_use]
    pub const fn env(&self) -> &BTreeMap<String, String> {
        &self.plain.env
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
        &self.plain.limits
    }

    /// Whatever the client wants to find its jobs by.
    #[must_use]
    pub const fn labels(&self) -> &BTreeMap<String, String> {
        &self.plain.labels
    }

    /// The content that the job needs and that gateways are asked for: what it runs, then its inputs in order, but for those at
    /// a URL or in a directory of the provider's.
    pub fn cids(&self) -> impl Iterator<Item = Cid> + '_ {
        let inputs = self.inputs.iter().filter_map(|mount| match &mount.source {
            Source::Content(cid) => Some(cid.0),
            Source::Url { .. } | Source::Directory(_) => None,
        });
        self.program().into_iter().chain(inputs)
    }

    /// The content that it runs: a module, or an image's archive; `None`: an image of a registry.
    #[must_use]
    pub const fn program(&self) -> Option<Cid> {
        match &self.plain.engine {
            Engine::Wasm { module: link, .. } | Engine::Docker { image: Image::Archive(link), .. } => Some(link.0),
            Engine::Docker { image: Image::Named(_), .. } => None,
        }
    }

    /// The canonical encoding, whose sha2-256 digest names the spec: DAG-CBOR with CIDs as links and every field there, but
    /// for those that joined this version later and hold their default.
    #[must_use]
    #[expect(clippy::expect_used, reason = "strings, lists, maps with string keys and CIDs are all DAG-CBOR")]
    pub fn to_dag_cbor(&self) -> Vec<u8> {
        let document = serde_json::to_value(&self.plain).expect("a spec has a JSON form");
        serde_ipld_dagcbor::to_vec(&canonical(&document, &SPEC)).expect("a spec has a DAG-CBOR form")
    }

    /// The spec as JSON text for people.
    #[must_use]
    #[expect(clippy::expect_used, reason = "maps have string keys and numbers are integers")]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a spec has a JSON form")
    }
}

impl Serialize for ValidatedSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.plain.serialize(serializer)
    }
}

impl From<ValidatedSpec> for JobSpec {
    fn from(spec: ValidatedSpec) -> Self {
        spec.plain
    }
}

impl TryFrom<JobSpec> for ValidatedSpec {
    type Error = super::SpecProblems;

    fn try_from(spec: JobSpec) -> Result<Self, Self::Error> {
        spec.validate()
    }
}
