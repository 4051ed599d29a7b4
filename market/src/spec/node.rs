//! A document as it was written: JSON and DAG-CBOR in one shape, duplicate fields and floats included, so that the reader
//! can name them.

use core::fmt;

use cid::Cid;
use ipld_core::ipld::Ipld;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, SeqAccess, Visitor},
};

/// A value of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    Bytes(usize),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    Link(Cid),
}

/// The longest value that a problem shows, in characters.
const SHOWN: usize = 80;

impl Node {
    /// The document that a plain value is written as, CIDs as strings.
    #[expect(clippy::expect_used, reason = "maps have string keys and numbers are integers")]
    pub(super) fn of(value: &impl Serialize) -> Self {
        serde_json::to_value(value).and_then(serde_json::from_value).expect("the value has a JSON form")
    }

    /// What this is, as people call it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a truth value",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a fraction or an exponent",
            Self::Text(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
            Self::Link(_) => "a link",
        }
    }

    /// The value for a message, shortened.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(text) => quoted(text),
            Self::Bytes(size) => format!("{size} bytes"),
            Self::List(items) => format!("a list of {}", items.len()),
            Self::Map(fields) => format!("an object of {} fields", fields.len()),
            Self::Link(cid) => cid.to_string(),
        }
    }
}

/// A text in quotes, control characters escaped, shortened.
pub(super) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() { format!("{short:?}…") } else { format!("{short:?}") }
}

impl From<Ipld> for Node {
    fn from(ipld: Ipld) -> Self {
        match ipld {
            Ipld::Null => Self::Null,
            Ipld::Bool(value) => Self::Bool(value),
            Ipld::Integer(value) => Self::Integer(value),
            Ipld::Float(value) => Self::Float(value),
            Ipld::String(text) => Self::Text(text),
            Ipld::Bytes(bytes) => Self::Bytes(bytes.len()),
            Ipld::List(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Ipld::Map(fields) => Self::Map(fields.into_iter().map(|(name, value)| (name, value.into())).collect()),
            Ipld::Link(cid) => Self::Link(cid),
        }
    }
}

/// From JSON.
impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(field) = fields.next_entry()? {
            map.push(field);
        }
        Ok(Node::Map(map))
    }
}
