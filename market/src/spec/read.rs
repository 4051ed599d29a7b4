//! The one place that knows what a good spec is: it reads documents by the [table of fields](super::fields).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    DEFAULT_CPU, DEFAULT_PIDS, GuestPath, Link, MAX_BYTES, MAX_LABEL, MAX_NAME, MAX_URL, MAX_WASM_MEMORY, MIN_MEMORY,
    SpecProblem, SpecProblems, VERSION, ValidatedSpec,
    fields::{Field, Kind, Object, Presence, Refused, SPEC},
    image,
    node::{Node, quoted},
};

/// Reads a spec, or says everything that is wrong with it.
pub(super) fn read(document: &Node, form: Form) -> Result<ValidatedSpec, SpecProblems> {
    let mut reader = Reader::new(form, &SPEC);
    let document = reader.document(document);
    reader.paths_are_apart(&document);
    reader.urls_are_of_files(&document);
    reader.limits_fit_the_engine(&document);
    reader.finish()?;
    let spec = ValidatedSpec::new(document);
    let size = spec.to_dag_cbor().len();
    if size > MAX_BYTES {
        let problem = format!("has {size} bytes in DAG-CBOR; at most {MAX_BYTES} are allowed");
        return Err(SpecProblems::of_document(problem, "put what is large into an input"));
    }
    Ok(spec)
}

/// How much a document may leave to defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// What has a default may be left out; CIDs may be strings, of either version.
    Free,
    /// Everything is there but for what the canonical form leaves out; CIDs are links, of version 1.
    Canonical,
}

/// Collects problems. A method that returns `None` has reported one.
pub(super) struct Reader {
    form: Form,
    /// The whole document, to tell where a field belongs.
    root: &'static Object,
    problems: Vec<SpecProblem>,
}

/// The number of an object in a list, and how many there are; elsewhere 0 of 1.
type Place = (usize, usize);

impl Reader {
    pub(super) const fn new(form: Form, root: &'static Object) -> Self {
        Self { form, root, problems: Vec::new() }
    }

    /// What the document says, with every field there, links as strings and everything checked; as far as it can be read:
    /// what cannot is left out, and in lists null.
    pub(super) fn document(&mut self, document: &Node) -> Map<String, Value> {
        self.object("", document, self.root.fields, (0, 1)).unwrap_or_default()
    }

    /// # Errors
    /// When there were problems.
    pub(super) fn finish(self) -> Result<(), SpecProblems> {
        if self.problems.is_empty() { Ok(()) } else { Err(SpecProblems::new(self.problems)) }
    }

    /// No path of inputs and outputs lies within another.
    fn paths_are_apart(&mut self, document: &Map<String, Value>) {
        let path = |value: &Value| value.as_str().and_then(|text| GuestPath::new(text).ok());
        let inputs = document.get("inputs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let inputs =
            inputs.iter().enumerate().map(|(number, input)| (format!("inputs[{number}].path"), input.get("path")));
        let outputs = [("outputs".to_owned(), document.get("outputs"))];
        let mut paths: Vec<(String, GuestPath)> =
            inputs.chain(outputs).filter_map(|(at, value)| Some((at, path(value?)?))).collect();
        // Sorted by their parts, whatever lies within a path follows it, directly or behind others that do.
        paths.sort_by(|(_, a), (_, b)| a.parts().cmp(b.parts()));
        let mut outer: Option<&(String, GuestPath)> = None;
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

    /// What is at a URL is one file, and the CID beside it is that of its bytes.
    fn urls_are_of_files(&mut self, document: &Map<String, Value>) {
        let inputs = document.get("inputs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (number, input) in inputs.iter().enumerate() {
            let Some(url) = input.get("url").and_then(Value::as_str) else { continue };
            if input.get("directory").is_some() {
                let problem = "is there together with `directory`";
                self.problem::<()>(&format!("inputs[{number}].url"), Some(quoted(url)), problem, "remove one of them");
            }
            let link = input.get("cid").and_then(Value::as_str).and_then(|text| text.parse::<Link>().ok());
            if let Some(link) = link.filter(|link| !link.is_raw()) {
                let remedy = "write the CID of codec raw (0x55) with the sha2-256 digest of the whole file";
                let problem = "is not of codec raw, as that of a file at a URL is";
                self.problem::<()>(&format!("inputs[{number}].cid"), Some(link.to_string()), problem, remedy);
            }
        }
    }

    /// A WASM job asks for nothing that it cannot be given.
    fn limits_fit_the_engine(&mut self, document: &Map<String, Value>) {
        let at = |object: &str, field: &str| document.get(object).and_then(|object| object.get(field)).cloned();
        if at("engine", "type") != Some("wasm".into()) {
            return;
        }
        let limit = |name: &str| at("limits", name).and_then(|value| value.as_u64());
        if let Some(memory) = limit("memory").filter(|memory| *memory > MAX_WASM_MEMORY) {
            let remedy = format!("write a whole number from {MIN_MEMORY} to {MAX_WASM_MEMORY}");
            self.problem::<()>(
                "limits.memory",
                Some(memory.to_string()),
                "is more than a WASM job can address",
                &remedy,
            );
        }
        for (name, usual) in [("cpu", DEFAULT_CPU), ("pids", DEFAULT_PIDS), ("gpus", 0)] {
            if let Some(other) = limit(name).filter(|other| *other != usual) {
                let problem = "is of no use to a WASM job, which has one thread";
                self.problem::<()>(&format!("limits.{name}"), Some(other.to_string()), problem, "remove it");
            }
        }
    }

    /// Whether a field is to be read of which exactly one of two is there; a problem is reported with the first of them.
    fn either(
        &mut self,
        at: &str,
        (other, missing): (&str, &str),
        node: Option<&Node>,
        found: &BTreeMap<&str, &Node>,
    ) -> bool {
        let is_first = !missing.is_empty();
        match (node, found.contains_key(other)) {
            (None, false) if is_first => {
                self.problem::<()>(at, None, "is missing", missing);
            }
            (Some(node), true) if is_first => {
                let problem = format!("is there together with `{other}`");
                self.problem::<()>(at, Some(node.shown()), problem, "remove one of them");
            }
            _ => {}
        }
        node.is_some()
    }

    fn object(&mut self, at: &str, node: &Node, known: &[Field], place: Place) -> Option<Map<String, Value>> {
        let found = self.fields(at, node, known)?;
        let mut object = Map::new();
        for field in known {
            let node = found.get(field.name).copied();
            if let Presence::Either { other, missing } = field.presence
                && !self.either(&join(at, field.name), (other, missing), node, &found)
            {
                continue;
            }
            if let Some(value) = self.field(&join(at, field.name), field, node, place) {
                object.insert(field.name.to_owned(), value);
            }
        }
        Some(object)
    }

    /// The fields of an object, unknown and duplicate ones reported.
    fn fields<'n>(&mut self, at: &str, node: &'n Node, known: &[Field]) -> Option<BTreeMap<&'n str, &'n Node>> {
        let Node::Map(all) = node else {
            return self.mistyped(at, node, "an object");
        };
        let mut fields = BTreeMap::new();
        for (name, value) in all {
            let field = join(at, name);
            if !known.iter().any(|known| known.name == name) {
                let remedy = self.remedy_for_unknown(at, name, known);
                self.problem::<()>(&field, Some(value.shown()), "is an unknown field", &remedy);
            } else if fields.insert(name.as_str(), value).is_some() {
                self.problem::<()>(&field, None, "is there twice", "keep one of them");
            }
        }
        Some(fields)
    }

    fn field(&mut self, at: &str, field: &Field, node: Option<&Node>, place: Place) -> Option<Value> {
        const ENCODE: &str = "encode the spec with `ValidatedSpec::to_dag_cbor`";
        let canonical = self.form == Form::Canonical;
        let Some(node) = node else {
            return match &field.presence {
                Presence::Required(remedy) => self.problem(at, None, "is missing", remedy),
                Presence::Either { .. } => None,
                Presence::Optional(_) if canonical => {
                    self.problem(at, None, "is missing", &format!("the canonical form has this field; {ENCODE}"))
                }
                Presence::Optional(default) | Presence::OmittedWhenDefault(default) => Some(default.value(place)),
            };
        };
        let value = self.value(at, &field.kind, node)?;
        if let Presence::OmittedWhenDefault(default) = &field.presence
            && canonical
            && value == default.value(place)
        {
            let problem = "is the default, which the canonical form leaves out";
            return self.problem(at, Some(node.shown()), problem, &format!("remove it; {ENCODE}"));
        }
        Some(value)
    }

    fn value(&mut self, at: &str, kind: &Kind, node: &Node) -> Option<Value> {
        Some(match kind {
            Kind::Version => {
                if *node != Node::Integer(VERSION.into()) {
                    let remedy = format!("write {VERSION}");
                    return self.problem(at, Some(node.shown()), "is a version unknown here", &remedy);
                }
                VERSION.into()
            }
            Kind::Object(object) => self.object(at, node, object.fields, (0, 1))?.into(),
            Kind::OneOf { what, variants } => self.one_of(at, what, variants, node)?,
            Kind::List { most, item } => {
                let items = self.list(at, node, *most)?;
                let read = |(number, node): (usize, &Node)| {
                    let at = format!("{at}[{number}]");
                    self.object(&at, node, item.fields, (number, items.len())).map(Value::Object)
                };
                items.iter().enumerate().map(read).map(Option::unwrap_or_default).collect()
            }
            Kind::Texts { most } => {
                let items = self.list(at, node, *most)?;
                let read = |(number, node): (usize, &Node)| self.content(&format!("{at}[{number}]"), node);
                items.iter().enumerate().map(read).collect()
            }
            Kind::TextsByName { most, equals } => self.texts_by_name(at, *most, *equals, node)?,
            Kind::Name { refused } => self.name(at, refused, node)?.into(),
            Kind::Path => self.path(at, node)?.as_str().into(),
            Kind::Link => self.link(at, node)?.to_string().into(),
            Kind::Url => self.url(at, node)?.into(),
            Kind::Label => self.label(at, node)?.into(),
            Kind::Image => self.image(at, node)?.into(),
            Kind::Count { least, most } => self.integer(at, node, *least, *most)?.into(),
        })
    }

    fn one_of(&mut self, at: &str, what: &str, variants: &[&Object], node: &Node) -> Option<Value> {
        let Node::Map(all) = node else {
            return self.mistyped(at, node, "an object");
        };
        let names: Vec<&str> = variants.iter().map(|variant| variant.name).collect();
        let field = join(at, "type");
        let mut types = all.iter().filter(|(name, _)| name == "type").map(|(_, value)| value);
        let Some(kind) = types.next_back() else {
            let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
            return self.problem(&field, None, "is missing", &format!("write {}", quoted.join(" or ")));
        };
        let name = self.text(&field, kind)?;
        let Some(variant) = variants.iter().find(|variant| variant.name == name) else {
            let remedy = suggestion(name, &names).unwrap_or_else(|| format!("the {what}s are: {}", names.join(", ")));
            return self.problem(&field, Some(kind.shown()), format!("is no {what} known here"), &remedy);
        };
        let mut object = self.variant(at, all, variant)?;
        object.insert("type".to_owned(), name.into());
        Some(object.into())
    }

    /// The fields of a variant, of which `type` was read before.
    fn variant(&mut self, at: &str, all: &[(String, Node)], variant: &Object) -> Option<Map<String, Value>> {
        let mut types = 0;
        let rest = all.iter().filter(|(name, _)| {
            types += usize::from(name == "type");
            name != "type"
        });
        let rest = Node::Map(rest.cloned().collect());
        if types > 1 {
            self.problem::<()>(&join(at, "type"), None, "is there twice", "keep one of them");
        }
        self.object(at, &rest, variant.fields, (0, 1))
    }

    fn texts_by_name(&mut self, at: &str, most: usize, equals: bool, node: &Node) -> Option<Value> {
        let Node::Map(entries) = node else {
            return self.mistyped(at, node, "an object of strings");
        };
        self.at_most(at, entries.len(), most)?;
        let mut map = Map::new();
        for (name, value) in entries {
            let field = format!("{at}[{}]", quoted(name));
            self.well_named(&field, name);
            if !equals && name.contains('=') {
                let remedy = "write only the part before the first `=` as the name, the rest as the value";
                self.problem::<()>(&field, None, "has a name that contains `=`", remedy);
            }
            if let Some(text) = self.content(&field, value)
                && map.insert(name.clone(), text.into()).is_some()
            {
                self.problem::<()>(&field, None, "is there twice", "keep one of them");
            }
        }
        Some(map.into())
    }

    fn list<'n>(&mut self, at: &str, node: &'n Node, most: usize) -> Option<&'n [Node]> {
        let Node::List(items) = node else {
            return self.mistyped(at, node, "a list");
        };
        self.at_most(at, items.len(), most)?;
        Some(items)
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

    fn name<'n>(&mut self, at: &str, refused: &Refused, node: &'n Node) -> Option<&'n str> {
        let name = self.text(at, node)?;
        if name == refused.name {
            return self.problem(at, Some(quoted(name)), refused.problem, refused.remedy);
        }
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

    fn url<'n>(&mut self, at: &str, node: &'n Node) -> Option<&'n str> {
        let text = self.text(at, node)?;
        let remedy = "write one such as https://example.org/data/words.csv";
        url_fault(text).map_or(Some(text), |fault| self.problem(at, Some(quoted(text)), fault, remedy))
    }

    fn label<'n>(&mut self, at: &str, node: &'n Node) -> Option<&'n str> {
        let text = self.text(at, node)?;
        let begins = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let goes_on = |c: char| begins(c) || matches!(c, '.' | '_' | '-');
        if text.starts_with(begins) && text.chars().all(goes_on) && text.len() <= MAX_LABEL {
            return Some(text);
        }
        let remedy = format!(
            "write the label that the provider's operator gave it, no path: at most {MAX_LABEL} of a-z, 0-9, `.`, `_` and `-`"
        );
        self.problem(at, Some(quoted(text)), "is no label", &remedy)
    }

    fn image(&mut self, at: &str, node: &Node) -> Option<String> {
        let Node::Text(text) = node else {
            return match node {
                Node::Link(_) => Some(self.link(at, node)?.to_string()),
                _ => self.mistyped(at, node, "the name of an image with its digest, or a CID"),
            };
        };
        if text.parse::<Link>().is_ok() {
            return Some(self.link(at, node)?.to_string());
        }
        match image::fault(text) {
            None => Some(text.clone()),
            Some(fault) => self.problem(at, Some(node.shown()), fault.to_string(), fault.remedy()),
        }
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

    /// What to do about a field that does not belong where it is.
    fn remedy_for_unknown(&self, at: &str, name: &str, known: &[Field]) -> String {
        let names: Vec<&str> = known.iter().map(|field| field.name).collect();
        if let Some(meant) = suggestion(name, &names) {
            return meant;
        }
        match home_of(name, "", self.root.fields).filter(|home| home != at) {
            Some(home) if home.is_empty() => "it belongs into the spec itself".to_owned(),
            Some(home) => format!("it belongs into `{home}`"),
            None => format!("remove it; the fields here are: {}", names.join(", ")),
        }
    }
}

/// What keeps a text from being the URL of a file, if anything does. Whether its host may be asked, providers decide.
fn url_fault(text: &str) -> Option<&'static str> {
    if text.len() > MAX_URL {
        return Some("is longer than 2048 bytes");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return Some("has characters that a URL has percent-encoded");
    }
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return Some("begins neither with https:// nor with http://");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Some("carries a user name or a password");
    }
    if authority.is_empty() || authority.starts_with(':') {
        return Some("has no host");
    }
    text.contains('#').then_some("has a fragment")
}

/// The object in which a field of this name belongs.
fn home_of(name: &str, at: &str, fields: &[Field]) -> Option<String> {
    if fields.iter().any(|field| field.name == name) {
        return Some(at.to_owned());
    }
    fields.iter().find_map(|field| {
        let within = join(at, field.name);
        match &field.kind {
            Kind::Object(object) => home_of(name, &within, object.fields),
            Kind::OneOf { .. } if name == "type" => Some(within),
            Kind::OneOf { variants, .. } => variants.iter().find_map(|variant| home_of(name, &within, variant.fields)),
            Kind::List { item, .. } => home_of(name, &format!("{within}[…]"), item.fields),
            _ => None,
        }
    })
}

fn join(at: &str, name: &str) -> String {
    let name = if name.bytes().all(|b| b.is_ascii_graphic()) && name.len() <= MAX_NAME {
        name.to_owned()
    } else {
        quoted(name)
    };
    if at.is_empty() { name } else { format!("{at}.{name}") }
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
