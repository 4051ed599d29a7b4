//! A spec as people and programs write it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    DEFAULT_CPU, DEFAULT_ENTRY, DEFAULT_OUTPUTS, DEFAULT_PIDS, Image, Link, MIN_MEMORY, SpecProblems, VERSION,
    ValidatedSpec, node::Node, read,
};

/// A job specification before it is validated: plain data, in JSON with CIDs as strings. What is left out has its default;
/// limits have none. Deserialise text of strangers with [`parse_json`](super::parse_json) instead: it names every problem.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// The version of this format: [`VERSION`].
    pub version: u32,
    /// What runs the job, and what it runs.
    pub engine: Engine,
    /// The program's arguments, without its own name.
    #[serde(default)]
    pub args: Vec<String>,
    /// The program's environment variables; nothing is inherited from the node.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Content that is mounted read-only.
    #[serde(default)]
    pub inputs: Vec<Input>,
    /// The absolute path of the directory whose content is the job's output.
    #[serde(default = "default_outputs")]
    pub outputs: String,
    /// What the job may use up. Exhausting one of them is a result, not a failure.
    pub limits: Limits,
    /// Whatever the client wants to find its jobs by; without meaning to the market.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What runs a job.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Engine {
    /// A WebAssembly module with WASI preview 1.
    Wasm {
        /// The module: a file (`raw` or UnixFS) in the binary format.
        module: Link,
        /// The exported function without parameters that is called.
        #[serde(default = "default_entry")]
        entry: String,
    },
    /// A container.
    Docker {
        image: Image,
        /// The program and its first arguments; empty: the image's.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        entrypoint: Vec<String>,
        /// The directory in which the program begins; `None`: the image's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workdir: Option<String>,
    },
}

impl Engine {
    /// Its name, as in specs and offers.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Wasm { .. } => "wasm",
            Self::Docker { .. } => "docker",
        }
    }
}

/// Content that a job sees.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// A file or directory (`raw` or UnixFS); of a file at a URL, the `raw` CID of all its bytes. None: it is a `directory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cid: Option<Link>,
    /// Where the file is, if gateways are not to be asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The label of a directory on the provider's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Its absolute path in the guest; by default `/inputs`, or `/inputs/<n>` when there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl Input {
    /// Content by CID at a path in the guest, or at the default one.
    #[must_use]
    pub const fn content(cid: Link, path: Option<String>) -> Self {
        Self { cid: Some(cid), url: None, directory: None, path }
    }
}

/// What a job may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Units of fuel: about one per WASM instruction, and one per byte that host calls move; of a container, one per nanosecond of
    /// processor time.
    pub fuel: u64,
    /// Memory, in bytes.
    pub memory: u64,
    /// Size of everything that is written (output files, stdout and stderr), in bytes.
    pub output: u64,
    /// Number of files and directories in the output.
    pub entries: u64,
    /// Time on the clock, in seconds.
    pub wall: u64,
    /// Thousandths of a processor that a container may use at a time.
    #[serde(default = "default_cpu", skip_serializing_if = "is_default_cpu")]
    pub cpu: u64,
    /// Processes and threads of a container at a time.
    #[serde(default = "default_pids", skip_serializing_if = "is_default_pids")]
    pub pids: u64,
    /// Graphics processors that a container has for itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gpus: u64,
}

impl Limits {
    /// As little of everything as a job can ask for, with the defaults of what has one.
    pub const LEAST: Self = Self {
        fuel: 1,
        memory: MIN_MEMORY,
        output: 1,
        entries: 1,
        wall: 1,
        cpu: DEFAULT_CPU,
        pids: DEFAULT_PIDS,
        gpus: 0,
    };
}

const fn default_cpu() -> u64 {
    DEFAULT_CPU
}

const fn default_pids() -> u64 {
    DEFAULT_PIDS
}

const fn is_default_cpu(cpu: &u64) -> bool {
    *cpu == DEFAULT_CPU
}

const fn is_default_pids(pids: &u64) -> bool {
    *pids == DEFAULT_PIDS
}

const fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn default_entry() -> String {
    DEFAULT_ENTRY.to_owned()
}

fn default_outputs() -> String {
    DEFAULT_OUTPUTS.to_owned()
}

impl JobSpec {
    /// A spec that runs a module within limits, with defaults everywhere else.
    #[must_use]
    pub fn wasm(module: Link, limits: Limits) -> Self {
        Self::new(Engine::Wasm { module, entry: default_entry() }, limits)
    }

    fn new(engine: Engine, limits: Limits) -> Self {
        Self {
            version: VERSION,
            engine,
            args: Vec::new(),
            env: BTreeMap::new(),
            inputs: Vec::new(),
            outputs: default_outputs(),
            limits,
            labels: BTreeMap::new(),
        }
    }

    /// A spec that runs an image's program within limits, with defaults everywhere else.
    #[must_use]
    pub fn docker(image: Image, limits: Limits) -> Self {
        Self::new(Engine::Docker { image, entrypoint: Vec::new(), workdir: None }, limits)
    }

    /// Checks everything, once.
    ///
    /// # Errors
    /// Every problem of the spec.
    pub fn validate(&self) -> Result<ValidatedSpec, SpecProblems> {
        read::read(&Node::of(self), read::Form::Free)
    }
}
