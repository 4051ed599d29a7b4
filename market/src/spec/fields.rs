//! The fields of a spec, each in one place: the reader, the canonical encoding, the JSON schema and the table in `docs/spec.md`
//! come from here.

use serde_json::{Value, json};

use super::{
    DEFAULT_CPU, DEFAULT_ENTRY, DEFAULT_INPUTS, DEFAULT_OUTPUTS, DEFAULT_PIDS, MAX_ARGS, MAX_CPU, MAX_ENTRYPOINT,
    MAX_ENV, MAX_GPUS, MAX_INPUTS, MAX_LABELS, MAX_MEMORY, MAX_PIDS, MIN_MEMORY,
};
use crate::model::MAX_WINDOW;

/// An object of the document.
pub(super) struct Object {
    /// Its name in the JSON schema.
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) fields: &'static [Field],
}

pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) presence: Presence,
    pub(super) about: &'static str,
}

/// What may stand in a field.
pub(super) enum Kind {
    /// The number of this version of the format.
    Version,
    Object(&'static Object),
    /// One of several objects, told apart by their field `type`, which holds their name.
    OneOf {
        what: &'static str,
        variants: &'static [&'static Object],
    },
    List {
        most: usize,
        item: &'static Object,
    },
    /// Strings without NUL.
    Texts {
        most: usize,
    },
    /// Strings without NUL, by names; `equals`: a name may contain `=`.
    TextsByName {
        most: usize,
        equals: bool,
    },
    /// A name, but not the refused one.
    Name {
        refused: Refused,
    },
    /// A path in the guest.
    Path,
    /// The CID of content.
    Link,
    /// The URL of a file, http or https, without credentials and fragment.
    Url,
    /// The label of something on the provider's machine.
    Label,
    /// An image: by name and digest, or an archive's CID.
    Image,
    /// A whole number.
    Count {
        least: u64,
        most: u64,
    },
}

pub(super) struct Refused {
    pub(super) name: &'static str,
    pub(super) problem: &'static str,
    pub(super) remedy: &'static str,
}

/// Whether a field may be left out of JSON, and whether the canonical form has it.
pub(super) enum Presence {
    /// It may not; what to do when it is missing.
    Required(&'static str),
    /// Exactly one of this field and the other is there; of the two, the one that has something to say when both are missing comes
    /// first.
    Either { other: &'static str, missing: &'static str },
    /// It may; the canonical form has it nevertheless.
    Optional(Default),
    /// It may, and the canonical form has it only with another value than its default: so a field that is added to this
    /// version changes the digest of no spec that does without it. Every field added from now on is one of these.
    OmittedWhenDefault(Default),
}

/// What a field holds when it is left out.
#[derive(Clone, Copy)]
pub(super) enum Default {
    Always(fn() -> Value),
    /// Of an object in a list: depending on its number, and on how many there are.
    InList(fn(usize, usize) -> Value),
}

impl Default {
    /// The default of a field in the object with this number, of so many; of an object that is in no list: 0 of 1.
    pub(super) fn value(self, (number, of): (usize, usize)) -> Value {
        match self {
            Self::Always(value) => value(),
            Self::InList(value) => value(number, of),
        }
    }
}

impl Field {
    pub(super) const fn default(&self) -> Option<Default> {
        match self.presence {
            Presence::Required(_) | Presence::Either { .. } => None,
            Presence::Optional(default) | Presence::OmittedWhenDefault(default) => Some(default),
        }
    }

    const fn required(name: &'static str, kind: Kind, missing: &'static str, about: &'static str) -> Self {
        Self { name, kind, presence: Presence::Required(missing), about }
    }

    const fn optional(name: &'static str, kind: Kind, default: fn() -> Value, about: &'static str) -> Self {
        Self { name, kind, presence: Presence::Optional(Default::Always(default)), about }
    }

    /// One that joined version 1 after it began.
    const fn added(name: &'static str, kind: Kind, default: fn() -> Value, about: &'static str) -> Self {
        Self { name, kind, presence: Presence::OmittedWhenDefault(Default::Always(default)), about }
    }
}

const ANY_COUNT: Kind = Kind::Count { least: 1, most: u64::MAX };

pub(super) static SPEC: Object = Object { name: "spec", about: "Lota job specification", fields: &spec() };

pub(super) const fn spec() -> [Field; 8] {
    [
        Field::required("version", Kind::Version, "write 1", "the version of this format: `1`"),
        Field::required(
            "engine",
            Kind::OneOf { what: "engine", variants: &ENGINES },
            "name what runs the job",
            "what runs the job, and what it runs",
        ),
        Field::optional(
            "args",
            Kind::Texts { most: MAX_ARGS },
            || json!([]),
            "the program's arguments, without its own name",
        ),
        Field::optional(
            "env",
            Kind::TextsByName { most: MAX_ENV, equals: false },
            || json!({}),
            "its environment variables; nothing is inherited from the node. A value may contain `=`, a name may not",
        ),
        Field::optional(
            "inputs",
            Kind::List { most: MAX_INPUTS, item: &INPUT },
            || json!([]),
            "content that is mounted read-only",
        ),
        Field::optional(
            "outputs",
            Kind::Path,
            || json!(DEFAULT_OUTPUTS),
            "absolute path of the directory whose contents are the job's output",
        ),
        Field::required(
            "limits",
            Kind::Object(&LIMITS),
            "name every limit",
            "what the job may use up; exhausting one of them is a result",
        ),
        Field::optional(
            "labels",
            Kind::TextsByName { most: MAX_LABELS, equals: true },
            || json!({}),
            "names and values to find the job by (`lota job list --label NAME=VALUE`)",
        ),
    ]
}

static ENGINES: [&Object; 2] = [&WASM, &DOCKER];

static WASM: Object = Object {
    name: "wasm",
    about: "a WebAssembly module with WASI preview 1",
    fields: &[
        Field::required(
            "module",
            Kind::Link,
            "name the CID of the WASM module",
            "CID of the module (a file in the binary format)",
        ),
        Field::optional(
            "entry",
            Kind::Name {
                refused: Refused {
                    name: "_initialize",
                    problem: "initialises a module and runs nothing",
                    remedy: "name the exported function that does the work; `_initialize` of a reactor is called before it",
                },
            },
            || json!(DEFAULT_ENTRY),
            "the exported function that is called",
        ),
    ],
};

static DOCKER: Object = Object {
    name: "docker",
    about: "a program of a container image",
    fields: &[
        Field::required(
            "image",
            Kind::Image,
            "name the image by its digest (NAME@sha256:…), or the CID of an archive of it",
            "the image: `NAME@sha256:…`, or the CID of an archive of it (a tar file, as `docker save` writes or with an OCI layout)",
        ),
        Field::added(
            "entrypoint",
            Kind::Texts { most: MAX_ENTRYPOINT },
            || json!([]),
            "the program and its first arguments; when it is empty, those of the image",
        ),
        Field::added(
            "workdir",
            Kind::Path,
            || Value::Null,
            "absolute path of the directory in which the program begins; by default that of the image",
        ),
    ],
};

static INPUT: Object = Object {
    name: "input",
    about: "content that is mounted read-only",
    fields: &[
        Field {
            name: "cid",
            kind: Kind::Link,
            presence: Presence::Either {
                other: "directory",
                missing: "name the CID of a file or directory, or a `directory` of the provider's",
            },
            about: "CID of a file or directory, mounted read-only; with `url`, the CID of codec `raw` whose digest is that of the \
                    whole file",
        },
        Field {
            name: "url",
            kind: Kind::Url,
            presence: Presence::OmittedWhenDefault(Default::Always(|| Value::Null)),
            about: "where the file is, if gateways shall not be asked for it: an `https` URL (`http` only where a provider allows it)",
        },
        Field {
            name: "directory",
            kind: Kind::Label,
            presence: Presence::Either { other: "cid", missing: "" },
            about: "in place of `cid`: the label of a directory on the provider's machine that its operator offers; the CID of what \
                    was in it is part of the result",
        },
        Field {
            name: "path",
            kind: Kind::Path,
            presence: Presence::Optional(Default::InList(|number, of| match of {
                1 => json!(DEFAULT_INPUTS),
                _ => json!(format!("{DEFAULT_INPUTS}/{number}")),
            })),
            about: "the absolute path it is mounted at: by default `/inputs` for a single input, `/inputs/<n>` (counting from 0) \
                    for several",
        },
    ],
};

static LIMITS: Object =
    Object { name: "limits", about: "what the job may use up; exhausting one of them is a result", fields: &limits() };

pub(super) const fn limits() -> [Field; 8] {
    [
        Field::required(
            "fuel",
            ANY_COUNT,
            "name the most fuel that the job may use",
            "the most fuel it may use: about one unit per WASM instruction, and one per byte that host calls move; of a container, one per \
             nanosecond of processor time",
        ),
        Field::required(
            "memory",
            Kind::Count { least: MIN_MEMORY, most: MAX_MEMORY },
            "name the most bytes of memory that the job may use",
            "the most memory, in bytes; of a WASM job at most 4,294,967,296. Of a container it includes what it writes",
        ),
        Field::required(
            "output",
            ANY_COUNT,
            "name the most bytes of output that the job may use",
            "the most bytes it may write: output files, stdout and stderr together",
        ),
        Field::required(
            "entries",
            ANY_COUNT,
            "name the most files and directories that the job may use",
            "the most files and directories in the output",
        ),
        // No market lets a job run for longer than its longest window.
        Field::required(
            "wall",
            Kind::Count { least: 1, most: MAX_WINDOW },
            "name the most seconds that the job may use",
            "the most time on the provider's clock, in seconds (90 days are the market's longest window)",
        ),
        Field::added(
            "cpu",
            Kind::Count { least: 10, most: MAX_CPU },
            || json!(DEFAULT_CPU),
            "thousandths of a processor that a container may use at a time; a WASM job has one processor",
        ),
        Field::added(
            "pids",
            Kind::Count { least: 1, most: MAX_PIDS },
            || json!(DEFAULT_PIDS),
            "the most processes and threads of a container at a time; a WASM job has one",
        ),
        Field::added(
            "gpus",
            Kind::Count { least: 0, most: MAX_GPUS },
            || json!(0),
            "graphics processors that a container has for itself",
        ),
    ]
}
