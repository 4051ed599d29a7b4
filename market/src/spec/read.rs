//! The one place that knows what a good spec is.

use std::collections::BTreeMap;

use super::{
    DEFAULT_ENTRY, DEFAULT_INPUTS, DEFAULT_OUTPUTS, Engine, GuestPath, Limits, Link, MAX_ARGS, MAX_BYTES, MAX_ENV,
    MAX_INPUTS, MAX_LABELS, MAX_MEMORY, MAX_NAME, MIN_MEMORY, Mount, SpecProblem, SpecProblems, VERSION, ValidatedSpec,
    node::{Node, quoted},
};
use crate::model::MAX_WINDOW;

/// How much a document may leave to defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// What has a default may be left out; CIDs may be strings, of either version.
    Free,
    /// Everything is there; CIDs are links, of version 1.
    Canonical,
}

/// Reads a document, or says everything that is wrong with it.
pub(super) fn read(document: &Node, form: Form) -> Result<ValidatedSpec, SpecProblems> {
    let mut reader = Reader { form, problems: Vec::new() };
    match reader.spec(document) {
        Some(spec) if reader.problems.is_empty() => Ok(spec),
        _ => Err(SpecProblems::new(reader.problems)),
    }
}

const SPEC: &[&str] = &["version", "engine", "args", "env", "inputs", "outputs", "limits", "labels"];
const WASM: &[&str] = &["type", "module", "entry"];
const ENGINES: &[&str] = &["wasm"];
const INPUT: &[&str] = &["cid", "path"];
const LIMITS: &[&str] = &["fuel", "memory", "output", "entries", "wall"];
/// The objects in which a field may belong that stands elsewhere.
const HOMES: &[(&str, &[&str])] = &[("", SPEC), ("engine", WASM), ("inputs[…]", INPUT), ("limits", LIMITS)];

/// Collects problems. A method that returns `None` has reported one.
struct Reader {
    form: Form,
    problems: Vec<SpecProblem>,
}

impl Reader {
    fn spec(&mut self, document: &Node) -> Option<ValidatedSpec> {
        let fields = self.object("", document, SPEC)?;
        let version = self.version(&fields);
        let engine = self.required(&fields, "engine", "name what runs the job").and_then(|node| self.engine(node));
        let args = self.args(&fields);
        let env = self.env(&fields);
        let inputs = self.inputs(&fields);
        let outputs = self.outputs(&fields);
        let limits = self.required(&fields, "limits", "name every limit").and_then(|node| self.limits(node));
        let labels = self.labels(&fields);
        if let Some(inputs) = &inputs {
            self.apart(inputs, outputs.as_ref());
        }
        let inputs = inputs?.into_iter().map(|(cid, path)| Some(Mount { cid: cid?, path: path? }));
        let spec = ValidatedSpec {
            version: version?,
            engine: engine?,
            args: args?,
            env: env?,
            inputs: inputs.collect::<Option<_>>()?,
            outputs: outputs?,
            limits: limits?,
            labels: labels?,
        };
        let size = spec.to_dag_cbor().len();
        if size > MAX_BYTES {
            let problem = format!("has {size} bytes in DAG-CBOR; at most {MAX_BYTES} are allowed");
            return self.problem("", None, problem, "put what is large into an input");
        }
        Some(spec)
    }

    fn version(&mut self, fields: &Fields<'_>) -> Option<u32> {
        let node = self.required(fields, "version", &format!("write {VERSION}"))?;
        if *node == Node::Integer(VERSION.into()) {
            return Some(VERSION);
        }
        self.problem("version", Some(node.shown()), "is a version unknown here", &format!("write {VERSION}"))
    }

    fn engine(&mut self, node: &Node) -> Option<Engine> {
        let Node::Map(all) = node else {
            return self.mistyped("engine", node, "an object");
        };
        let mut types = all.iter().filter(|(name, _)| name == "type").map(|(_, value)| value);
        let Some(kind) = types.next_back() else {
            return self.problem("engine.type", None, "is missing", "write \"wasm\"");
        };
        let name = self.text("engine.type", kind)?;
        if name != "wasm" {
            let remedy = suggestion(name, ENGINES).unwrap_or_else(|| "the engines are: wasm".to_owned());
            return self.problem("engine.type", Some(kind.shown()), "is no engine known here", &remedy);
        }
        let fields = self.object("engine", node, WASM)?;
        let module = self.required(&fields, "module", "name the CID of the WASM module");
        let module = module.and_then(|node| self.link("engine.module", node));
        let entry = match self.optional(&fields, "entry") {
            Ok(Some(node)) => self.entry(node),
            Ok(None) => Some(DEFAULT_ENTRY.to_owned()),
            Err(Reported) => None,
        };
        Some(Engine::Wasm { module: module?, entry: entry? })
    }

    fn entry(&mut self, node: &Node) -> Option<String> {
        let at = "engine.entry";
        let name = self.name(at, node)?;
        if name == "_initialize" {
            let remedy =
                "name the exported function that does the work; `_initialize` of a reactor is called before it";
            return self.problem(at, Some(quoted(name)), "initialises a module and runs nothing", remedy);
        }
        Some(name.to_owned())
    }

    fn args(&mut self, fields: &Fields<'_>) -> Option<Vec<String>> {
        let node = match self.optional(fields, "args") {
            Ok(Some(node)) => node,
            Ok(None) => return Some(Vec::new()),
            Err(Reported) => return None,
        };
        let items = self.list("args", node, MAX_ARGS)?;
        let args: Vec<_> =
            items.iter().enumerate().map(|(n, item)| self.content(&format!("args[{n}]"), item)).collect();
        args.into_iter().collect()
    }

    fn env(&mut self, fields: &Fields<'_>) -> Option<BTreeMap<String, String>> {
        self.map(fields, "env", MAX_ENV, |reader, at, name| {
            if name.contains('=') {
                let remedy = "write only the part before the first `=` as the name, the rest as the value";
                reader.problem::<()>(at, None, "has a name that contains `=`", remedy);
            }
        })
    }

    fn labels(&mut self, fields: &Fields<'_>) -> Option<BTreeMap<String, String>> {
        self.map(fields, "labels", MAX_LABELS, |_, _, _| ())
    }

    /// Inputs, each with what could be read of it.
    fn inputs(&mut self, fields: &Fields<'_>) -> Option<Vec<(Option<Link>, Option<GuestPath>)>> {
        let node = match self.optional(fields, "inputs") {
            Ok(Some(node)) => node,
            Ok(None) => return Some(Vec::new()),
            Err(Reported) => return None,
        };
        let items = self.list("inputs", node, MAX_INPUTS)?;
        Some(items.iter().enumerate().map(|(n, item)| self.input(n, items.len(), item)).collect())
    }

    fn input(&mut self, n: usize, of: usize, node: &Node) -> (Option<Link>, Option<GuestPath>) {
        let at = format!("inputs[{n}]");
        let Some(fields) = self.object(&at, node, INPUT) else { return (None, None) };
        let cid = self.required(&fields, "cid", "name the CID of a file or directory");
        let cid = cid.and_then(|node| self.link(&format!("{at}.cid"), node));
        let at = format!("{at}.path");
        let path = match self.optional(&fields, "path") {
            Ok(Some(node)) => self.path(&at, node),
            Ok(None) if of == 1 => self.path(&at, &Node::Text(DEFAULT_INPUTS.to_owned())),
            Ok(None) => self.path(&at, &Node::Text(format!("{DEFAULT_INPUTS}/{n}"))),
            Err(Reported) => None,
        };
        (cid, path)
    }

    fn outputs(&mut self, fields: &Fields<'_>) -> Option<GuestPath> {
        match self.optional(fields, "outputs") {
            Ok(Some(node)) => self.path("outputs", node),
            Ok(None) => self.path("outputs", &Node::Text(DEFAULT_OUTPUTS.to_owned())),
            Err(Reported) => None,
        }
    }

    /// No path lies within another.
    fn apart(&mut self, inputs: &[(Option<Link>, Option<GuestPath>)], outputs: Option<&GuestPath>) {
        let inputs =
            inputs.iter().enumerate().filter_map(|(n, (_, path))| Some((format!("inputs[{n}].path"), path.as_ref()?)));
        let mut paths: Vec<(String, &GuestPath)> =
            inputs.chain(outputs.map(|path| ("outputs".to_owned(), path))).collect();
        // Sorted by their parts, whatever lies within a path follows it, directly or behind others that do.
        paths.sort_by(|(_, a), (_, b)| a.parts().cmp(b.parts()));
        let mut outer: Option<&(String, &GuestPath)> = None;
        for inner in &paths {
            match outer {
                Some((at, path)) if inner.1.is_within(path) => {
                    let problem = if inner.1 == *path { "is the same path as" } else { "lies within" };
                    let problem = format!("{problem} {at} ({path})");
                    let value = Some(quoted(inner.1.as_str()));
                    self.problem::<()>(&inner.0, value, problem, "give each a path of its own");
                }
                _ => outer = Some(inner),
            }
        }
    }

    fn limits(&mut self, node: &Node) -> Option<Limits> {
        let fields = self.object("limits", node, LIMITS)?;
        let mut limit = |name, unit: &str, least, most| {
            let remedy = format!("name the most {unit} that the job may use");
            let node = self.required(&fields, name, &remedy)?;
            self.integer(&format!("limits.{name}"), node, least, most)
        };
        let fuel = limit("fuel", "fuel", 1, u64::MAX);
        let memory = limit("memory", "bytes of memory", MIN_MEMORY, MAX_MEMORY);
        let output = limit("output", "bytes of output", 1, u64::MAX);
        let entries = limit("entries", "files and directories", 1, u64::MAX);
        // No market lets a job run for longer than its longest window.
        let wall = limit("wall", "seconds", 1, MAX_WINDOW);
        Some(Limits { fuel: fuel?, memory: memory?, output: output?, entries: entries?, wall: wall? })
    }

    // Shapes ----------------------------------------------------------------------------------------------------------

    /// The fields of an object, unknown and duplicate ones reported.
    fn object<'n>(&mut self, at: &str, node: &'n Node, known: &[&str]) -> Option<Fields<'n>> {
        let Node::Map(all) = node else {
            return self.mistyped(at, node, "an object");
        };
        let mut fields = BTreeMap::new();
        for (name, value) in all {
            let field = join(at, name);
            if !known.contains(&name.as_str()) {
                let remedy = remedy_for_unknown(at, name, known);
                self.problem::<()>(&field, Some(value.shown()), "is an unknown field", &remedy);
            } else if fields.insert(name.as_str(), value).is_some() {
                self.problem::<()>(&field, None, "is there twice", "keep one of them");
            }
        }
        Some(Fields { at: at.to_owned(), fields })
    }

    fn required<'n>(&mut self, fields: &Fields<'n>, name: &str, remedy: &str) -> Option<&'n Node> {
        match fields.fields.get(name) {
            Some(node) => Some(node),
            None => self.problem(&join(&fields.at, name), None, "is missing", remedy),
        }
    }

    /// A field that has a default, which the canonical form spells out.
    fn optional<'n>(&mut self, fields: &Fields<'n>, name: &str) -> Result<Option<&'n Node>, Reported> {
        let found = fields.fields.get(name).copied();
        if found.is_none() && self.form == Form::Canonical {
            let remedy = "the canonical form has every field; encode the spec with `ValidatedSpec::to_dag_cbor`";
            self.problem::<()>(&join(&fields.at, name), None, "is missing", remedy);
            return Err(Reported);
        }
        Ok(found)
    }

    fn list<'n>(&mut self, at: &str, node: &'n Node, most: usize) -> Option<&'n [Node]> {
        let Node::List(items) = node else {
            return self.mistyped(at, node, "a list");
        };
        self.at_most(at, items.len(), most)?;
        Some(items)
    }

    /// A map of strings, whose names `check` looks at.
    fn map(
        &mut self,
        fields: &Fields<'_>,
        at: &str,
        most: usize,
        check: impl Fn(&mut Self, &str, &str),
    ) -> Option<BTreeMap<String, String>> {
        let node = match self.optional(fields, at) {
            Ok(Some(node)) => node,
            Ok(None) => return Some(BTreeMap::new()),
            Err(Reported) => return None,
        };
        let Node::Map(entries) = node else {
            return self.mistyped(at, node, "an object of strings");
        };
        self.at_most(at, entries.len(), most)?;
        let mut map = BTreeMap::new();
        for (name, value) in entries {
            let field = format!("{at}[{}]", quoted(name));
            self.well_named(&field, name);
            check(self, &field, name);
            if let Some(text) = self.content(&field, value)
                && map.insert(name.clone(), text).is_some()
            {
                self.problem::<()>(&field, None, "is there twice", "keep one of them");
            }
        }
        Some(map)
    }

    fn at_most(&mut self, at: &str, count: usize, most: usize) -> Option<()> {
        if count <= most {
            return Some(());
        }
        let problem = format!("has {count} entries; at most {most} are allowed");
        self.problem(at, None, problem, "put what is large into an input")
    }

    fn text<'n>(&mut self, at: &str, node: &'n Node) -> Option<&'n str> {
        match node {
            Node::Text(text) => Some(text),
            _ => self.mistyped(at, node, "a string"),
        }
    }

    /// A string that a program is given.
    fn content(&mut self, at: &str, node: &Node) -> Option<String> {
        let text = self.text(at, node)?;
        if text.contains('\0') {
            let remedy = "no program can be given one; remove it";
            return self.problem(at, Some(quoted(text)), "contains a NUL", remedy);
        }
        Some(text.to_owned())
    }

    fn name<'n>(&mut self, at: &str, node: &'n Node) -> Option<&'n str> {
        let name = self.text(at, node)?;
        self.well_named(at, name).then_some(name)
    }

    /// A name is neither empty nor too long, and has no NUL.
    fn well_named(&mut self, at: &str, name: &str) -> bool {
        let problem = if name.is_empty() {
            "has an empty name".to_owned()
        } else if name.len() > MAX_NAME {
            format!("has a name of {} bytes; at most {MAX_NAME} are allowed", name.len())
        } else if name.contains('\0') {
            "has a name that contains a NUL".to_owned()
        } else {
            return true;
        };
        self.problem::<()>(at, None, problem, "give it another name");
        false
    }

    fn integer(&mut self, at: &str, node: &Node, least: u64, most: u64) -> Option<u64> {
        if !matches!(node, Node::Integer(_) | Node::Float(_)) {
            return self.mistyped(at, node, "a whole number");
        }
        if let Node::Integer(number) = node
            && let Ok(number) = u64::try_from(*number)
            && (least..=most).contains(&number)
        {
            return Some(number);
        }
        let remedy = format!("write a whole number from {least} to {most}");
        self.problem(at, Some(node.shown()), "is out of range", &remedy)
    }

    fn link(&mut self, at: &str, node: &Node) -> Option<Link> {
        let link = match (node, self.form) {
            (Node::Link(cid), _) => Link(*cid),
            (Node::Text(text), Form::Free) => match text.parse() {
                Ok(link) => link,
                Err(_) => {
                    let remedy = "write one such as bafybei… (CIDv1) or Qm… (CIDv0)";
                    return self.problem(at, Some(node.shown()), "is not a CID", remedy);
                }
            },
            (_, Form::Free) => return self.mistyped(at, node, "a CID as a string"),
            (_, Form::Canonical) => return self.mistyped(at, node, "a link"),
        };
        if let Some(fault) = link.fault() {
            return self.problem(at, Some(node.shown()), fault, "import the content as UnixFS with sha2-256");
        }
        let v1 = link.into_v1();
        if self.form == Form::Canonical && v1 != link {
            return self.problem(at, Some(node.shown()), "is of CID version 0", &format!("write {v1}"));
        }
        Some(v1)
    }

    fn path(&mut self, at: &str, node: &Node) -> Option<GuestPath> {
        let text = self.text(at, node)?;
        match GuestPath::new(text) {
            Ok(path) => Some(path),
            Err(fault) => {
                let remedy = "write an absolute path below the root, such as /inputs/a";
                self.problem(at, Some(node.shown()), fault.to_string(), remedy)
            }
        }
    }

    fn mistyped<T>(&mut self, at: &str, node: &Node, wanted: &str) -> Option<T> {
        // Only a scalar says more than its kind.
        let value = match node {
            Node::Null | Node::Bytes(_) | Node::List(_) | Node::Map(_) => None,
            scalar => Some(scalar.shown()),
        };
        self.problem(at, value, format!("is {}", node.kind()), &format!("write {wanted}"))
    }

    fn problem<T>(&mut self, at: &str, value: Option<String>, problem: impl Into<String>, remedy: &str) -> Option<T> {
        let (field, problem, remedy) = (at.to_owned(), problem.into(), remedy.to_owned());
        self.problems.push(SpecProblem { field, value, problem, remedy });
        None
    }
}

/// A problem was reported.
struct Reported;

/// The known fields of an object, by name.
struct Fields<'n> {
    at: String,
    fields: BTreeMap<&'n str, &'n Node>,
}

fn join(at: &str, name: &str) -> String {
    let name = if name.bytes().all(|b| b.is_ascii_graphic()) && name.len() <= MAX_NAME {
        name.to_owned()
    } else {
        quoted(name)
    };
    if at.is_empty() { name } else { format!("{at}.{name}") }
}

/// What to do about a field that does not belong where it is.
fn remedy_for_unknown(at: &str, name: &str, known: &[&str]) -> String {
    if let Some(meant) = suggestion(name, known) {
        return meant;
    }
    match HOMES.iter().find(|(home, fields)| *home != at && fields.contains(&name)) {
        Some(("", _)) => "it belongs into the spec itself".to_owned(),
        Some((home, _)) => format!("it belongs into `{home}`"),
        None => format!("remove it; the fields here are: {}", known.join(", ")),
    }
}

/// The known word that was probably meant.
fn suggestion(word: &str, known: &[&str]) -> Option<String> {
    /// Longer words are no misspellings of ours, and cost quadratic time.
    const LONGEST: usize = 32;
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    let near = known.iter().map(|known| (strsim::damerau_levenshtein(&word, known), known));
    let (distance, known) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= known.len().div_ceil(3)).then(|| format!("did you mean `{known}`?"))
}
